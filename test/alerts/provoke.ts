import { until } from '../support/until'
import { TO_MESSAGE_MS, say, type Row, type Scenario, type Told } from './scenario'

const TO_RESOLVED_MS = 300_000

/** @returns what provokes an alert until its message has arrived, ends the cause, and waits for the end of the alert; never rejects */
export function provoking({ slack, mail, incidentsUrl, startedAt }: Told): (scenario: Scenario) => Promise<Row> {
  const messagesOf = (scenario: Scenario, state: 'firing' | 'resolved'): { title: string; text: string }[] => {
    const all = scenario.byMail
      ? mail.mails.map(({ subject = '', text = '' }) => ({ title: subject, text }))
      : slack.messages.map(({ title, text }) => ({ title, text }))
    return all.filter(({ title, text }) => {
      const isResolved = title.startsWith('[RESOLVED]')
      const names = title.includes(`] ${scenario.alert}`) && `${title} ${text}`.includes(scenario.place ?? '')
      return names && isResolved === (state === 'resolved')
    })
  }

  return async function provoke(scenario) {
    const { alert, cause } = scenario
    await scenario.ready?.()
    const before = scenario.fromStart ? 0 : messagesOf(scenario, 'firing').length
    const resolvedBefore = messagesOf(scenario, 'resolved').length
    const provokedAt = scenario.fromStart ? startedAt : Date.now()
    let mend = async (): Promise<void> => undefined
    let toMessage = 'not told'
    let evidence = '-'
    let toResolved = '-'
    let failed = true
    try {
      mend = await scenario.provoke()
      const message = await until(() => messagesOf(scenario, 'firing')[before], {
        what: `the message of ${alert}`,
        timeoutMs: TO_MESSAGE_MS,
        intervalMs: 200,
      })
      toMessage = seconds(Date.now() - provokedAt)
      const proven = scenario.evidence === undefined ? undefined : scenario.evidence.exec(message.text)?.[0]
      // The shortened group_wait is over before the evidence is there: then it is in the incident.
      const found =
        scenario.evidence === undefined || proven !== undefined || (await inIncident(incidentsUrl, scenario))
      evidence = proven ?? (scenario.evidence === undefined ? '-' : found ? 'in the incident' : 'missing')
      const mendedAt = Date.now()
      await mend()
      if (scenario.end === undefined) {
        await until(() => messagesOf(scenario, 'resolved')[resolvedBefore], {
          what: `the end of ${alert}`,
          timeoutMs: TO_RESOLVED_MS,
          intervalMs: 200,
        })
      }
      toResolved = scenario.end ?? seconds(Date.now() - mendedAt)
      failed = !found
    } catch (error) {
      say(`${alert}: ${error instanceof Error ? error.message.slice(0, 300) : String(error)}`)
      await mend().catch(() => undefined)
    }
    await scenario.afterEnd?.()
    say(`${failed ? 'FAILED' : 'ok'}  ${alert}: message ${toMessage}, resolved ${toResolved}`)
    return { alert, cause, toMessage, evidence, toResolved, failed }
  }
}

/** Whether the incident service has gathered evidence for the alert. */
async function inIncident(url: string, { alert, place }: Scenario): Promise<boolean> {
  const read = async (path: string): Promise<unknown> =>
    (await fetch(`${url}${path}`, { headers: { accept: 'application/json' } })).json()
  const look = async (): Promise<boolean> => {
    const { incidents } = (await read('/incidents')) as { incidents: { id: string }[] }
    for (const { id } of incidents) {
      const { alerts } = (await read(`/incidents/${id}`)) as {
        alerts: {
          labels: Record<string, string>
          evidence?: { traces: unknown[]; signatures: unknown[]; load?: object }
        }[]
      }
      const own = alerts.find(({ labels }) => {
        return labels['alertname'] === alert && JSON.stringify(labels).includes(place ?? '')
      })
      const { traces = [], signatures = [], load } = own?.evidence ?? {}
      if (traces.length + signatures.length > 0 || load !== undefined) return true
    }
    return false
  }
  return until(look, { what: `evidence of ${alert}`, timeoutMs: 20_000, intervalMs: 500 }).catch(() => false)
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(0)
}
