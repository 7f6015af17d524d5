import type { ParsedMail } from 'mailparser'
import { processesAlive } from '../../tools/stack/managed-process'
import { startMailServer, type MailServer } from './mail-server'
import { needs } from './needs'
import { startSlackStandIn, type SlackMessage } from './slack-stand-in'
import { startAlerting, type Receivers, type RunningAlerting, type Watched } from './start-alerting'
import { stopUpstreams } from './start-upstream'
import { until } from './until'

export interface Told {
  readonly slack: SlackMessage
  readonly mail: ParsedMail
}

export interface Alerting extends RunningAlerting, Receivers {
  /** The first message by each way whose title fits. */
  told(fits: (title: string) => boolean): Promise<Told>
}

/**
 * For a suite about alerts: before its tests, starts what is watched and then what watches it, with a Slack and a mailbox of
 * its own. After them everything ends, however far the start came: left running, it would disturb the tests that follow.
 *
 * @returns what is there once the tests and later hooks of the suite run
 */
export function withAlerting(startWatched: () => Promise<Watched>): Alerting {
  const alerting = {} as Alerting
  let mail: MailServer | undefined

  before(needs('redis-server', 'redis_exporter', 'prometheus', 'alertmanager'))

  before(async () => {
    const slack = await startSlackStandIn()
    mail = await startMailServer()
    const receivers = { slack, mail }
    const running = await startAlerting(await startWatched(), receivers)
    Object.assign(alerting, running, receivers, { told: firstMessages(receivers) })
  })

  after(async () => {
    await Promise.all(processesAlive().map(async child => child.kill()))
    await stopUpstreams()
    await mail?.stop()
  })

  return alerting
}

function firstMessages({ slack, mail }: Receivers): Alerting['told'] {
  return async function told(fits) {
    const options = { timeoutMs: 90_000, intervalMs: 50 }
    const inSlack = await until(() => slack.messages.find(({ title }) => fits(title)), {
      ...options,
      what: `a Slack message; there are ${JSON.stringify(slack.messages.map(({ title }) => title))}`,
    })
    const inMail = await until(() => mail.mails.find(({ subject }) => fits(subject ?? '')), {
      ...options,
      what: 'a mail',
    })
    return { slack: inSlack, mail: inMail }
  }
}
