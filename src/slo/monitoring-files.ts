import { stringify } from 'yaml'
import type { MonitoringSettings } from './monitoring-settings'
import type { Objective } from './objectives'
import { checkAlertNames, customised, shippedFile, shippedFiles, shippedRules, withJobs } from './shipped-rules'
import { pageTests, ticketTests, type RuleTestFile } from './slo-rule-tests'
import { GROUP_NAMES, sloRules, type RuleGroup } from './slo-rules'

const BY =
  '# Made by `npm run monitoring` from the slo keys of gateway.yaml. Edits are lost: change that file instead.\n'
const BY_SETTINGS = '# Made by `npm run monitoring` from the shipped file and the settings. Edits are lost.\n'

const FOLDED = { lineWidth: 0, aliasDuplicateObjects: false } as const

/** The rules of these objectives, and their promtool tests, by path. Equal input gives equal text. */
export function sloFiles(objectives: readonly Objective[], settings: MonitoringSettings): Map<string, string> {
  const options = { job: settings.jobs.gateway, labels: settings.labels }
  // Made with these names from the start.
  const groups = customised(sloRules(objectives, options), { ...settings, labels: [] })
  const files = new Map([['slo.yml', BY + rulesText('slo', groups, settings)]])
  // Unit tests are about plain rule files, and about the shipped thresholds.
  const isPlain = settings.format === 'prometheus' && Object.keys(settings.alerts).length === 0
  if (objectives.length > 0 && isPlain) {
    files.set('tests/slo-pages.test.yml', testText(pageTests(objectives, options)))
    files.set('tests/slo-tickets.test.yml', testText(ticketTests(objectives, options)))
  }
  return files
}

/**
 * Everything for a Prometheus, Alertmanager and Grafana of one's own: the rules of the objectives, the shipped rules, the route
 * tree and the dashboards, with the names of the settings.
 *
 * @throws UnfitSetting
 */
export function installationFiles(objectives: readonly Objective[], settings: MonitoringSettings): Map<string, string> {
  const shipped = shippedRules()
  checkAlertNames([...shipped, ...sloRules(objectives, { job: settings.jobs.gateway, labels: [] })], settings)
  return new Map([
    ...sloFiles(objectives, settings),
    ['gateway.yml', BY_SETTINGS + rulesText('gateway', customised(shipped, settings), settings)],
    ['alertmanager.yml', BY_SETTINGS + alertmanagerText(settings)],
    ...shippedFiles('grafana/dashboards').map(
      name => [`dashboards/${name}`, withJobs(shippedFile(`grafana/dashboards/${name}`), settings)] as const,
    ),
  ])
}

function rulesText(kind: string, groups: readonly RuleGroup[], { format, resource }: MonitoringSettings): string {
  switch (format) {
    case 'prometheus':
      return stringify({ groups }, FOLDED)
    case 'thanos':
      return stringify({ groups: groups.map(group => ({ ...group, partial_response_strategy: 'warn' })) }, FOLDED)
    case 'mimir':
      return stringify({ namespace: `${resource.name}-${kind}`, groups }, FOLDED)
    case 'operator':
      return stringify(
        {
          apiVersion: 'monitoring.coreos.com/v1',
          kind: 'PrometheusRule',
          metadata: {
            name: `${resource.name}-${kind}`,
            ...(resource.namespace !== undefined && { namespace: resource.namespace }),
            ...(Object.keys(resource.labels).length > 0 && { labels: resource.labels }),
          },
          spec: { groups },
        },
        FOLDED,
      )
  }
}

function testText(tests: RuleTestFile): string {
  return BY + stringify({ rule_files: ['../slo.yml'], group_eval_order: GROUP_NAMES, ...tests }, FOLDED)
}

/** The shipped route tree with other names of severities, receivers and jobs. */
function alertmanagerText({ severities, receivers, jobs, labels }: MonitoringSettings): string {
  const severity = (name: string): string => severities[name as keyof typeof severities] ?? name
  const receiver = (name: string): string => receivers[name as keyof typeof receivers] ?? name
  return shippedFile('alertmanager.yml')
    .replaceAll(/severity(=~?)"([^"]*)"/g, (_, operator: string, names: string) => {
      return `severity${operator}"${names.split('|').map(severity).join('|')}"`
    })
    .replaceAll(/(receiver: |- name: )(\w+)/g, (_, key: string, name: string) => `${key}${receiver(name)}`)
    .replaceAll(/job="incidents"/g, `job="${jobs.incidents}"`)
    .replaceAll(/(group_by: \[alertname, |equal: \[)/g, `$1${labels.map(name => `${name}, `).join('')}`)
}
