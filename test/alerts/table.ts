import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, alertsIn, ruleFiles } from '../monitoring/monitoring-files'
import { NOT_PROVOKED } from './not-provoked'
import { ruleHash } from './rules-hash'
import { FACTOR, type Row } from './scenario'

const PAGE = join(ROOT, 'docs/alerts-tested.md')

/** Those whose rule has not changed since: `npm run alerts:test -- RedisDown` runs one of them again. */
function rowsOfLastRun(): Row[] {
  const page = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : ''
  const found = page.matchAll(/^\| (\w+) \| ([^|]+) \| ([^|]+) \| `([^|]+)` \| ([^|]+) \| `(\w+)` \|$/gm)
  return [...found]
    .filter(([, alert = '', , , , , hash]) => hash === ruleHash(alert))
    .map(([, alert = '', cause = '', toMessage = '', evidence = '', toResolved = '']) => {
      return { alert, cause, toMessage, evidence, toResolved, failed: false }
    })
}

function pageOf(rows: readonly Row[]): string {
  const order = ruleFiles()
    .flatMap(alertsIn)
    .map(({ alert }) => alert)
  const sorted = rows.toSorted((a, b) => order.indexOf(a.alert) - order.indexOf(b.alert))
  const cell = (text: string): string => text.replaceAll('|', '\\|')
  return `# Alerts, provoked

Made by \`npm run alerts:test\`: each alert was provoked by its true cause, with real programs (gateways, Redis, redis_exporter, Prometheus,
Alertmanager, the incident service) and the shipped rules, until its message had arrived and had resolved. Every duration of rules,
Prometheus and Alertmanager was divided by ${FACTOR}, nothing else: multiply the seconds by that for an estimate of the real time. Rows can come from several runs:
\`npm run alerts:test -- RedisDown\` provokes one alert and replaces its row.

The last column is a hash of the alert's rule. A test fails when the rule has changed since.

| Alert | Cause | Seconds to the message | Evidence in it | Seconds to resolved | Rule |
|---|---|---|---|---|---|
${sorted.map(({ alert, cause, toMessage, evidence, toResolved }) => `| ${[alert, cause, toMessage, `\`${evidence.replace(/<.*$/, '')}\``, toResolved, `\`${ruleHash(alert)}\``].map(cell).join(' | ')} |`).join('\n')}

Not provoked until a message:

| Alert | Why |
|---|---|
${Object.entries(NOT_PROVOKED)
  .map(([alert, why]) => `| ${alert} | ${why} |`)
  .join('\n')}
`
}

/**
 * Writes the page. Alerts that this run has not provoked yet keep their row while their rule is the same; of a run of single alerts,
 * so do those that failed.
 */
export function writeTable(rows: readonly Row[], isWhole: boolean): void {
  const found = isWhole ? rows : rows.filter(({ failed }) => !failed)
  const kept = rowsOfLastRun().filter(({ alert }) => !found.some(row => row.alert === alert))
  writeFileSync(PAGE, pageOf([...kept, ...found]))
}
