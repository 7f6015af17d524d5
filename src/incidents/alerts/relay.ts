import { fingerprint, isResolved, type Alert, type Labels } from './alert'

export interface RelayOptions {
  /** Finds the evidence for a new alert: annotations to add. Never rejects; bounded in time by itself. */
  readonly gather: (alert: Alert) => Promise<Labels>
  /** Hands an alert with its evidence on to every Alertmanager. */
  readonly tell: (fingerprint: string, alert: Alert) => void
  /** The alert is over. */
  readonly onResolved: (alert: Alert) => void
  /** An alert that got no evidence because there are too many at once. */
  readonly onOverload: (alert: Alert) => void
}

/** Alerts kept track of; those above it go without evidence, their plain copies are with Alertmanager already. */
const MAX_TRACKED = 10_000
/** Alerts whose evidence is gathered at the same time; they ask the same Prometheus that is busy with the outage. */
const MAX_GATHERING = 8
/** Alerts that wait for their turn. */
const MAX_WAITING = 1_000
/** A resolved alert is remembered for so long, so that a late "firing" of it is known to be old. */
const REMEMBER_MS = 15 * 60_000

interface Tracked {
  alert: Alert
  /** Undefined while the evidence is being gathered. */
  evidence: Labels | undefined
  resolved: boolean
  seenAt: number
}

/**
 * Takes the alerts that Prometheus fires, has the evidence found once for each, and hands on every later word about it with
 * that evidence at once, so that the enriched copy is always the newest. In order per alert: nothing is said of an alert as
 * firing after it was seen resolved.
 */
export class Relay {
  readonly #options: RelayOptions
  readonly #tracked = new Map<string, Tracked>()
  readonly #waiting: (() => void)[] = []
  #gathering = 0

  constructor(options: RelayOptions) {
    this.#options = options
  }

  /** How many alerts are known, and how many of them wait for their evidence. */
  get state(): { readonly tracked: number; readonly gathering: number; readonly waiting: number } {
    return { tracked: this.#tracked.size, gathering: this.#gathering, waiting: this.#waiting.length }
  }

  /** Returns at once; everything that takes time happens behind it. */
  receive(alerts: readonly Alert[], now = Date.now()): void {
    this.#forgetOld(now)
    for (const alert of alerts) {
      const key = fingerprint(alert)
      if (isResolved(alert, now)) this.#resolve(key, alert, now)
      else this.#fire(key, alert, now)
    }
  }

  #fire(key: string, alert: Alert, now: number): void {
    const known = this.#tracked.get(key)
    if (known && known.alert.startsAt >= alert.startsAt && known.resolved) return // old news
    if (known && !known.resolved) {
      known.alert = alert
      known.seenAt = now
      this.#tell(key, known)
      return
    }
    if (!known && this.#tracked.size >= MAX_TRACKED) return this.#options.onOverload(alert)
    const tracked: Tracked = { alert, evidence: undefined, resolved: false, seenAt: now }
    this.#tracked.set(key, tracked)
    this.#enqueue(key, tracked)
  }

  #resolve(key: string, alert: Alert, now: number): void {
    const known = this.#tracked.get(key)
    if (!known || known.resolved || known.alert.startsAt > alert.startsAt) return
    known.alert = alert
    known.resolved = true
    known.seenAt = now
    this.#options.onResolved(alert)
    this.#tell(key, known)
  }

  #enqueue(key: string, tracked: Tracked): void {
    if (this.#gathering < MAX_GATHERING) void this.#gather(key, tracked)
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(() => void this.#gather(key, tracked))
    else {
      tracked.evidence = {}
      this.#options.onOverload(tracked.alert)
    }
  }

  async #gather(key: string, tracked: Tracked): Promise<void> {
    this.#gathering++
    try {
      tracked.evidence = await this.#options.gather(tracked.alert)
    } finally {
      this.#gathering--
      this.#waiting.shift()?.()
    }
    // The same alert may have ended and begun anew meanwhile: then this is not the one to speak for it.
    if (this.#tracked.get(key) === tracked) this.#tell(key, tracked)
  }

  #tell(key: string, { alert, evidence }: Tracked): void {
    if (evidence === undefined || Object.keys(evidence).length === 0) return
    this.#options.tell(key, { ...alert, annotations: { ...alert.annotations, ...evidence } })
  }

  #forgetOld(now: number): void {
    for (const [key, { seenAt }] of this.#tracked) if (now - seenAt > REMEMBER_MS) this.#tracked.delete(key)
  }
}
