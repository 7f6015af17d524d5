import { charactersOf, fingerprint, isResolved, type Alert, type Labels } from './alert'

export interface RelayOptions {
  /** Finds the evidence for an alert as of a time. Must limit its own time. */
  readonly gather: (alert: Alert, look: Look, askedAtMs: number) => Promise<Gathered>
  /**
   * Finds what is known only after an alert ended, and returns all annotations; undefined if nothing is new. Must limit
   * its own time.
   */
  readonly conclude?: (alert: Alert, incidentId: string) => Promise<Labels | undefined>
  /** Sends an alert with its evidence to every Alertmanager. */
  readonly tell: (fingerprint: string, alert: Alert) => void
  /**
   * Called when an alert ended, also if it is not tracked, or if it was not repeated for 15 minutes.
   *
   * @returns the incident it belongs to
   */
  readonly onResolved: (alert: Alert) => string | undefined
  /** Called for an alert without evidence because too many fire at once. */
  readonly onOverload: (alert: Alert) => void
  /** Called when gathering rejects, which is a bug. */
  readonly onFailure: (alert: Alert, error: unknown) => void
  /** Delay of the second look after partial evidence; default 30 s: a failed source may be back by then. */
  readonly lookAgainMs?: number
}

export type Look = 'first' | 'again'

export interface Gathered {
  /** Annotations to add. */
  readonly annotations: Labels
  /** Whether a second look may find more. */
  readonly isPartial: boolean
}

/** Maximum tracked alerts; further ones get no evidence, and Alertmanager has only their plain copies. */
const MAX_TRACKED = 10_000
/** Maximum characters of their labels and annotations; one alert may have 64 Ki. */
const MAX_TRACKED_CHARACTERS = 32 * 1024 * 1024
/** Maximum alerts whose evidence is gathered at once; they query the same Prometheus, which is busy with the outage. */
const MAX_GATHERING = 8
/** Maximum alerts waiting for their evidence. */
const MAX_WAITING = 1_000
/**
 * How long an alert is remembered after it was last posted: a late "firing" of a resolved alert is then recognized as
 * old, and Alertmanager has resolved a firing one long before.
 */
const REMEMBER_MS = 15 * 60_000
const LOOK_AGAIN_MS = 30_000

const NOTHING: Gathered = { annotations: {}, isPartial: false }

interface Tracked {
  alert: Alert
  characters: number
  /** Undefined while the evidence is being gathered. */
  gathered: Gathered | undefined
  /** Known only from the record: this process has not received it yet. */
  isRestored: boolean
  resolved: boolean
  seenAt: number
}

/**
 * Receives the alerts of Prometheus, has the evidence gathered once for each, and sends every later state with that
 * evidence at once, so that the enriched copy is always the newest. States are sent in order per alert: an alert is
 * never sent as firing after it was resolved.
 */
export class Relay {
  readonly #options: RelayOptions
  readonly #tracked = new Map<string, Tracked>()
  readonly #waiting: (() => void)[] = []
  #characters = 0
  #gathering = 0

  constructor(options: RelayOptions) {
    this.#options = options
  }

  /** Number of known alerts, and of those waiting for evidence. */
  get state(): { readonly tracked: number; readonly gathering: number; readonly waiting: number } {
    return { tracked: this.#tracked.size, gathering: this.#gathering, waiting: this.#waiting.length }
  }

  /**
   * Restores an alert that was firing when the process ended, so that it is closed if it is not posted again, and its
   * recorded evidence is sent instead of being gathered from data that may be gone.
   */
  restore(alert: Alert, gathered: Gathered | undefined, now = Date.now()): void {
    const key = fingerprint(alert)
    const known = this.#tracked.get(key)
    if (known !== undefined && startOf(known.alert) >= startOf(alert)) return
    this.#track(key, { alert, characters: 0, gathered, isRestored: true, resolved: false, seenAt: now })
  }

  /** Returns at once; all slow work happens in the background. */
  receive(alerts: readonly Alert[], now = Date.now()): void {
    this.forgetOld(now)
    for (const alert of alerts) {
      const key = fingerprint(alert)
      if (isResolved(alert, now)) this.#resolve(key, alert, now)
      else this.#fire(key, alert, now)
    }
  }

  /** Ends alerts that are no longer posted. Must be called regularly: if Prometheus is gone, no POST triggers it. */
  forgetOld(now = Date.now()): void {
    for (const [key, { alert, resolved, seenAt }] of this.#tracked) {
      if (now - seenAt <= REMEMBER_MS) continue
      this.#forget(key)
      if (!resolved) this.#options.onResolved({ ...alert, endsAt: endOf(alert, seenAt, now) })
    }
  }

  #fire(key: string, alert: Alert, now: number): void {
    const known = this.#tracked.get(key)
    if (known?.resolved === true && startOf(known.alert) >= startOf(alert)) return // already resolved
    if (known && !known.resolved && !isNews(known, alert)) {
      const isFirstWord = known.isRestored
      known.isRestored = false
      known.seenAt = now
      this.#replace(known, alert)
      this.#tell(key, known)
      if (isFirstWord) this.#lookAgain(key, known)
      return
    }
    const tracked: Tracked = {
      alert,
      characters: 0,
      gathered: undefined,
      isRestored: false,
      resolved: false,
      seenAt: now,
    }
    if (this.#track(key, tracked)) this.#enqueue(key, tracked, 'first')
    else this.#options.onOverload(alert)
  }

  #resolve(key: string, alert: Alert, now: number): void {
    const known = this.#tracked.get(key)
    if (!known) return void this.#options.onResolved(alert)
    if (known.resolved || startOf(known.alert) > startOf(alert)) return
    known.resolved = true
    known.seenAt = now
    this.#replace(known, alert)
    const incidentId = this.#options.onResolved(alert)
    this.#tell(key, known)
    // The end is sent first, so that it is not delayed; findings after the end follow.
    if (incidentId !== undefined && known.gathered !== undefined) this.#enqueueConclusion(key, known, incidentId)
  }

  #enqueueConclusion(key: string, tracked: Tracked, incidentId: string): void {
    const conclude = (): void => {
      this.#conclude(key, tracked, incidentId).catch((error: unknown) => this.#options.onFailure(tracked.alert, error))
    }
    if (this.#gathering < MAX_GATHERING) conclude()
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(conclude)
  }

  async #conclude(key: string, tracked: Tracked, incidentId: string): Promise<void> {
    this.#gathering++
    try {
      const annotations = await this.#options.conclude?.(tracked.alert, incidentId)
      if (annotations === undefined || this.#tracked.get(key) !== tracked) return
      tracked.gathered = { annotations, isPartial: false }
      this.#tell(key, tracked)
    } finally {
      this.#gathering--
      this.#waiting.shift()?.()
    }
  }

  #enqueue(key: string, tracked: Tracked, look: Look): void {
    const gather = (): void => {
      this.#gather(key, tracked, look).catch((error: unknown) => this.#options.onFailure(tracked.alert, error))
    }
    if (this.#gathering < MAX_GATHERING) gather()
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(gather)
    else if (look === 'first') {
      tracked.gathered = NOTHING
      this.#options.onOverload(tracked.alert)
    }
  }

  async #gather(key: string, tracked: Tracked, look: Look): Promise<void> {
    this.#gathering++
    try {
      // A second look also waits in the queue; if the alert ended meanwhile, it was sent with the known evidence.
      if (look === 'again' && !this.#stillFires(key, tracked)) return
      tracked.gathered = await this.#options.gather(tracked.alert, look, look === 'first' ? tracked.seenAt : Date.now())
    } finally {
      tracked.gathered ??= NOTHING
      this.#gathering--
      this.#waiting.shift()?.()
    }
    // The alert may have ended and started again meanwhile; this entry is then outdated.
    if (this.#tracked.get(key) === tracked) this.#tell(key, tracked)
    if (look === 'first') this.#lookAgain(key, tracked)
  }

  /** Schedules one second look. There is at most one timer per tracked alert; none keeps the process alive. */
  #lookAgain(key: string, tracked: Tracked): void {
    if (tracked.gathered?.isPartial !== true) return
    const look = (): void => {
      if (this.#stillFires(key, tracked)) this.#enqueue(key, tracked, 'again')
    }
    setTimeout(look, this.#options.lookAgainMs ?? LOOK_AGAIN_MS).unref()
  }

  #stillFires(key: string, tracked: Tracked): boolean {
    return this.#tracked.get(key) === tracked && !tracked.resolved
  }

  #tell(key: string, { alert, gathered }: Tracked): void {
    if (gathered === undefined || Object.keys(gathered.annotations).length === 0) return
    this.#options.tell(key, { ...alert, annotations: { ...alert.annotations, ...gathered.annotations } })
  }

  /** @returns false at the maximum of tracked alerts */
  #track(key: string, tracked: Tracked): boolean {
    const characters = key.length + charactersOf(tracked.alert)
    const known = this.#tracked.get(key)
    if (this.#characters - (known?.characters ?? 0) + characters > MAX_TRACKED_CHARACTERS) return false
    if (known === undefined && this.#tracked.size >= MAX_TRACKED) return false
    this.#forget(key)
    this.#characters += characters
    this.#tracked.set(key, Object.assign(tracked, { characters }))
    return true
  }

  /** Stores the newest state; if it is too large, the older one stays. */
  #replace(known: Tracked, alert: Alert): void {
    const more = charactersOf(alert) - charactersOf(known.alert)
    if (this.#characters + more > MAX_TRACKED_CHARACTERS) {
      known.alert = { ...known.alert, startsAt: alert.startsAt, endsAt: alert.endsAt }
      return
    }
    known.alert = alert
    known.characters += more
    this.#characters += more
  }

  #forget(key: string): void {
    this.#characters -= this.#tracked.get(key)?.characters ?? 0
    this.#tracked.delete(key)
  }
}

/** Whether this is a later firing than the known one, whose end was missed. */
function isNews({ alert: known, isRestored, gathered }: Tracked, alert: Alert): boolean {
  if (isRestored) return gathered === undefined || startOf(known) !== startOf(alert)
  return known.endsAt !== undefined && startOf(alert) > Date.parse(known.endsAt)
}

/** Not compared as text: the same time may be written with another offset or number of digits. */
function startOf({ startsAt }: Alert): number {
  return Date.parse(startsAt)
}

/** The alert's own end if it has passed, otherwise when it was last received. RFC 3339. */
function endOf({ endsAt }: Alert, seenAt: number, now: number): string {
  return endsAt !== undefined && Date.parse(endsAt) <= now ? endsAt : new Date(seenAt).toISOString()
}
