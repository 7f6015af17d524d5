import { setTimeout as sleep } from 'node:timers/promises'
import { sendPlain, type Send } from '../backends/backend'
import type { Alert } from './alert'

export interface OutboxOptions {
  /** Base address of one Alertmanager. */
  readonly url: string
  /** With its credentials; default: none. */
  readonly send?: Send
  /** Called after each POST, for metrics and the log. */
  readonly onResult: (url: string, error: unknown) => void
}

/**
 * Delay before an alert is posted. Prometheus posts the plain alert to Alertmanager at the same moment as to us, and
 * the newest copy wins, so ours must be later.
 */
const AFTER_THE_PLAIN_ONE_MS = 200
const POST_TIMEOUT_MS = 5_000
const RETRY_MS = 1_000
/** Maximum alerts in one POST; Prometheus itself sends 64. */
const BATCH = 64

/**
 * The alerts to be sent to one Alertmanager: only the newest state of each, one POST at a time, so that an older state
 * never arrives after a newer one. The number of alerts that the relay tracks bounds it.
 */
export class AlertmanagerOutbox {
  readonly #options: OutboxOptions
  readonly #waiting = new Map<string, Alert>()
  readonly #closing = new AbortController()
  #sending: Promise<void> | undefined

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.size
  }

  put(fingerprint: string, alert: Alert): void {
    this.#waiting.set(fingerprint, alert)
    this.#sending ??= this.#send()
  }

  /** Tries once to send the remaining alerts. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#sending
  }

  async #send(): Promise<void> {
    await this.#pause(AFTER_THE_PLAIN_ONE_MS)
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting].slice(0, BATCH)
      const error = await this.#post(batch.map(([, alert]) => alert))
      this.#options.onResult(this.#options.url, error)
      if (error === undefined) this.#forget(batch)
      else if (this.#closing.signal.aborted) break
      else await this.#pause(RETRY_MS)
      this.#forgetExpired()
    }
    // Reset in the same tick in which the queue became empty: an alert added a moment later would otherwise wait.
    this.#sending = undefined
  }

  /** Removes the sent alerts, except those that were updated meanwhile. */
  #forget(batch: readonly [string, Alert][]): void {
    for (const [fingerprint, alert] of batch) {
      if (this.#waiting.get(fingerprint) === alert) this.#waiting.delete(fingerprint)
    }
  }

  /** Removes firing alerts whose end time has passed: Alertmanager has resolved them already. */
  #forgetExpired(): void {
    const tooOld = Date.now() - 15 * 60_000
    for (const [fingerprint, { endsAt }] of this.#waiting) {
      if (endsAt !== undefined && Date.parse(endsAt) < tooOld) this.#waiting.delete(fingerprint)
    }
  }

  async #post(alerts: readonly Alert[]): Promise<unknown> {
    try {
      const response = await (this.#options.send ?? sendPlain)(`${this.#options.url}/api/v2/alerts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(alerts),
        signal: AbortSignal.timeout(POST_TIMEOUT_MS),
      })
      const text = await response.text()
      if (response.ok) return undefined
      // Rejected as a whole or in part: a retry does not help.
      if (response.status === 400) this.#options.onResult(this.#options.url, new Error(text.slice(0, 200)))
      return response.status === 400 ? undefined : new Error(`${response.status} ${text.slice(0, 200)}`)
    } catch (error) {
      return error
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#closing.signal }).catch(() => undefined)
  }
}
