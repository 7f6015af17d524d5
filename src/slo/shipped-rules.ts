import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import type { MonitoringSettings } from './monitoring-settings'
import type { Rule, RuleGroup } from './slo-rules'

/** Compiled, this file is dist/src/slo/shipped-rules.js. */
const SHIPPED = join(__dirname, '../../../monitoring')

export function shippedFile(name: string): string {
  return readFileSync(join(SHIPPED, name), 'utf8')
}

/** The names of the files in a folder, sorted. */
export function shippedFiles(folder: string): string[] {
  return readdirSync(join(SHIPPED, folder)).sort()
}

/** The hand-written rules, as they are shipped. */
export function shippedRules(): RuleGroup[] {
  return (parse(shippedFile('alert_rules.yml')) as { groups: RuleGroup[] }).groups
}

/** A setting that does not fit the rules. */
export class UnfitSetting extends Error {
  override readonly name = 'UnfitSetting'
}

/**
 * Rules with the names, thresholds and labels of another installation. What they mean stays as it is.
 *
 * @param groups with the shipped names
 * @throws UnfitSetting for an alert or number that none of them has
 */
export function customised(groups: readonly RuleGroup[], settings: MonitoringSettings): RuleGroup[] {
  return groups
    .map(group => ({ ...group, rules: group.rules.flatMap(rule => customisedRule(rule, settings)) }))
    .filter(({ rules }) => rules.length > 0)
}

/** @throws UnfitSetting for an alert that does not exist */
export function checkAlertNames(groups: readonly RuleGroup[], { alerts }: MonitoringSettings): void {
  const known = new Set(groups.flatMap(({ rules }) => rules.flatMap(({ alert }) => alert ?? [])))
  const unknown = Object.keys(alerts).filter(name => !known.has(name))
  if (unknown.length > 0) throw new UnfitSetting(`alerts: there is no alert ${unknown.join(', ')}`)
}

function customisedRule(rule: Rule, settings: MonitoringSettings): Rule[] {
  const change = rule.alert === undefined ? undefined : settings.alerts[rule.alert]
  if (change === false) return []
  const { severity, ...labels } = rule.labels ?? {}
  const named = (text: string): string => withLabels(withJobs(text, settings), settings)
  return [
    {
      ...rule,
      expr: named(withThresholds(rule, change?.thresholds ?? {})),
      ...(change?.for !== undefined && { for: change.for }),
      ...(rule.labels && {
        labels: {
          ...(severity !== undefined && {
            severity: settings.severities[severity as keyof MonitoringSettings['severities']],
          }),
          ...Object.fromEntries(
            Object.entries(labels).map(([name, value]) => [name, name === 'job' ? jobOf(value, settings) : value]),
          ),
        },
      }),
      ...(rule.annotations && {
        annotations: Object.fromEntries(
          Object.entries(rule.annotations).map(([name, text]) => [
            name,
            linked(name, named(withJobInText(text, settings)), settings),
          ]),
        ),
      }),
    },
  ]
}

/** `runbook_url` and `dashboard_url` are paths in the shipped rules. */
function linked(name: string, text: string, { links }: MonitoringSettings): string {
  const base = name === 'dashboard_url' ? links.grafana : name === 'runbook_url' ? links.repository : undefined
  return base === undefined ? text : `${base.replace(/\/$/, '')}/${text.replace(/^\//, '')}`
}

/** `> 0.05` → `> 0.1`: numbers that something is compared with, or that time is counted in. */
function withThresholds({ alert, expr }: Rule, thresholds: Readonly<Record<string, number>>): string {
  return Object.entries(thresholds).reduce((text, [from, to]) => {
    const compared = new RegExp(`((?:[<>]=?|[!=]=) *)${from.replaceAll('.', '[.]')}(?![\\w.])`, 'g')
    if (!compared.test(text))
      throw new UnfitSetting(`alerts.${alert}.thresholds: the expression compares nothing with ${from}`)
    return text.replaceAll(compared, (_, operator: string) => `${operator}${to}`)
  }, expr)
}

const SHIPPED_JOBS = {
  'myesi-api': 'gateway',
  redis: 'redis',
  prometheus: 'prometheus',
  alertmanager: 'alertmanager',
  incidents: 'incidents',
  'otel-collector': 'collector',
} as const satisfies Readonly<Record<string, keyof MonitoringSettings['jobs']>>

function jobOf(shipped: string, { jobs }: MonitoringSettings): string {
  return shipped in SHIPPED_JOBS ? jobs[SHIPPED_JOBS[shipped as keyof typeof SHIPPED_JOBS]] : shipped
}

/** In one pass, so that a job called as another one is shipped is not renamed twice. */
export function withJobs(text: string, settings: MonitoringSettings): string {
  return text.replaceAll(/(\bjob=\\?")([^"\\]*)(\\?")/g, (_, before: string, job: string, after: string) => {
    return `${before}${jobOf(job, settings)}${after}`
  })
}

function withJobInText(text: string, settings: MonitoringSettings): string {
  return text.replaceAll(/\bof job ([\w-]+)/g, (_, job: string) => `of job ${jobOf(job, settings)}`)
}

/** Each label beside `job` wherever that tells series apart. */
function withLabels(text: string, { labels }: MonitoringSettings): string {
  if (labels.length === 0) return text
  const names = labels.join(', ')
  return text
    .replaceAll(/\b(by|on) \(job\b/g, `$1 (${names}, job`)
    .replaceAll(/\{job=\{\{ printf "%q" \$labels\.job \}\}/g, all =>
      all.replace('{', `{${labels.map(name => `${name}={{ printf "%q" $labels.${name} }},`).join('')}`),
    )
    .replaceAll(/\bjob=%q/g, `${labels.map(name => `${name}=%q,`).join('')}job=%q`)
    .replaceAll(/(?<!%q)("\s*)\$labels\.job\b/g, `$1${labels.map(name => `$labels.${name} `).join('')}$labels.job`)
}
