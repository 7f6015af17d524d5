import type { MailServer } from '../support/mail-server'
import type { SlackStandIn } from '../support/slack-stand-in'

/** By which every duration of the shipped files is divided; nothing else is changed. */
export const FACTOR = 25
export const TO_MESSAGE_MS = 330_000

/** An alert with its true cause. */
export interface Scenario {
  readonly alert: string
  readonly cause: string
  /** Part of the title, where several places have the alert. */
  readonly place?: string
  /** Awaited before the time is taken: what other alerts need first. */
  readonly ready?: () => Promise<void>
  /** @returns what ends the cause */
  readonly provoke: () => Promise<() => Promise<void>>
  /** Text of the message that proves it. */
  readonly evidence?: RegExp
  /** In place of waiting for its end. */
  readonly end?: string
  /** Called when the alert has ended, or did not come. */
  readonly afterEnd?: () => Promise<void>
  /** Its cause is there from the start of the run. */
  readonly fromStart?: boolean
  /** The message comes by mail alone. */
  readonly byMail?: boolean
}

/** What runs for a part of the alerts, with the acts in which they are provoked: together within an act, and one act after the other. */
export interface Stack extends Told {
  readonly acts: readonly (readonly Scenario[])[]
}

/** Where a stack's messages arrive, and its evidence. */
export interface Told {
  readonly slack: SlackStandIn
  readonly mail: MailServer
  readonly incidentsUrl: string
  /** When the stack was started: the causes of some alerts are there from then on. */
  readonly startedAt: number
}

/** What became of an alert. */
export interface Row {
  readonly alert: string
  readonly cause: string
  readonly toMessage: string
  readonly evidence: string
  readonly toResolved: string
  readonly failed: boolean
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
