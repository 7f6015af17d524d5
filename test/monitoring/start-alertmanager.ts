import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { alertmanagerPlan } from '../../tools/stack/components'
import { copyMonitoring } from '../../tools/stack/monitoring-copy'
import { freePort } from '../support/free-port'
import { shortened } from '../support/shortened'
import { startPlanned } from '../support/start-planned'
import { temporaryFolder } from '../support/temporary-folder'
import { alertsIn, ruleFiles } from './monitoring-files'

export type Labels = Readonly<Record<string, string>>

/** An alert as Prometheus posts it. */
export interface PostedAlert {
  readonly labels: Labels
  readonly annotations?: Labels
  readonly startsAt?: string
  readonly endsAt?: string
  readonly generatorURL?: string
}

export interface RunningAlertmanager {
  readonly url: string
  post(alerts: readonly PostedAlert[]): Promise<void>
  /** `active` or `suppressed`, by the alert's labels as JSON. */
  states(): Promise<ReadonlyMap<string, string>>
  stop(): Promise<unknown>
}

/** The real one with the shipped configuration and templates; durations are a fiftieth, so that a page takes 300 ms. */
export async function startAlertmanager(options: { slackUrl: string; mailPort: number }): Promise<RunningAlertmanager> {
  const folder = temporaryFolder()
  const secrets = temporaryFolder()
  writeFileSync(join(secrets, 'slack_api_url'), `${options.slackUrl}\n`)
  copyMonitoring({
    folder,
    // No file for the password: a mail server that offers no login, such as the catcher, must not need one.
    replacements: { 'mail:1025': `127.0.0.1:${options.mailPort}`, '/run/secrets': secrets },
    transform: text => shortened(text, 50),
  })
  const port = await freePort()
  const child = await startPlanned(await alertmanagerPlan(port, folder, temporaryFolder()))
  const url = `http://127.0.0.1:${port}`
  return {
    url,
    post: async alerts => {
      const headers = { 'content-type': 'application/json' }
      const response = await fetch(`${url}/api/v2/alerts`, { method: 'POST', headers, body: JSON.stringify(alerts) })
      assert.equal(response.status, 200, await response.text())
    },
    states: async () => {
      const response = await fetch(`${url}/api/v2/alerts`)
      const alerts = (await response.json()) as { labels: Labels; status: { state: string } }[]
      return new Map(alerts.map(({ labels, status }) => [keyOf(labels), status.state]))
    },
    stop: () => child.stop(),
  }
}

/** The same for the same labels in whichever order. */
export function keyOf(labels: Labels): string {
  return JSON.stringify(
    Object.entries(labels)
      .map(pair => pair.join('='))
      .sort(),
  )
}

/** The labels of an alert as it arrives: its rule's and its series'. */
export function fired(alertname: string, labels: Labels): Labels {
  const rule = ruleFiles()
    .flatMap(alertsIn)
    .find(({ alert }) => alert === alertname)
  assert.ok(rule !== undefined, `no rule of that name: ${alertname}`)
  return { ...labels, ...rule.labels, alertname }
}
