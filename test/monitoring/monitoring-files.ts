import { globSync, readFileSync } from 'node:fs'
import { join, resolve, sep } from 'node:path'
import { parse } from 'yaml'

/** Compiled, this file is dist/test/monitoring/monitoring-files.js. */
export const ROOT = resolve(__dirname, '../../..')

export interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly for?: string
  readonly keep_firing_for?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

export interface Alert extends Rule {
  readonly alert: string
  /** The rule file, from the root of the repository. */
  readonly file: string
}

export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

export function readYaml(path: string): unknown {
  return parse(read(path))
}

/** Paths from the root of the repository, with slashes, sorted. */
export function filesMatching(pattern: string): string[] {
  return globSync(pattern, { cwd: ROOT })
    .map(path => path.split(sep).join('/'))
    .sort()
}

/** The promtool tests that belong to them. */
export function ruleTestFiles(): string[] {
  return [...filesMatching('test/monitoring/rules/*.test.yml'), ...filesMatching('monitoring/rules/tests/*.test.yml')]
}

/** The hand-written rules and the generated ones, as prometheus.yml loads them. */
export function ruleFiles(): string[] {
  return ['monitoring/alert_rules.yml', ...filesMatching('monitoring/rules/*.yml')]
}

export function rulesIn(file: string): Rule[] {
  const { groups } = readYaml(file) as { groups: { rules: Rule[] }[] }
  return groups.flatMap(group => group.rules)
}

export function alertsIn(file: string): Alert[] {
  return rulesIn(file).flatMap(rule => (rule.alert === undefined ? [] : [{ ...rule, alert: rule.alert, file }]))
}

export interface Panel {
  readonly id: number
  readonly type: string
  readonly title?: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly datasource?: { readonly type: string; readonly uid: string }
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
  readonly targets?: readonly Query[]
  readonly panels?: readonly Panel[]
}

export interface Query {
  readonly refId: string
  readonly expr: string
  readonly exemplar?: boolean
  readonly legendFormat?: string
  readonly datasource?: { readonly type: string; readonly uid: string }
}

export interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly tags: readonly string[]
  readonly links: readonly {
    readonly type: string
    readonly tags: readonly string[]
    readonly includeVars: boolean
    readonly keepTime: boolean
  }[]
  readonly editable: boolean
  readonly templating: {
    readonly list: readonly { name: string; type: string; query?: unknown; definition?: string }[]
  }
  readonly panels: readonly Panel[]
}

export function dashboardFiles(): string[] {
  return filesMatching('monitoring/grafana/dashboards/*.json')
}

export function readDashboard(file: string): Dashboard {
  return JSON.parse(read(file)) as Dashboard
}

/** Every panel that shows something: rows are opened, not counted. */
export function panelsOf({ panels }: Pick<Dashboard, 'panels'>): Panel[] {
  return panels.flatMap(panel => (panel.type === 'row' ? panelsOf({ panels: panel.panels ?? [] }) : [panel]))
}

/** The query as Prometheus gets it, with something in place of what Grafana fills in. */
export function withoutVariables(expr: string): string {
  return expr
    .replaceAll(/\$__(rate_interval|interval|range)\b/g, '5m')
    .replaceAll(/\$\{?(environment|instance|route|upstream)(:\w+)?\}?/g, '.*')
}
