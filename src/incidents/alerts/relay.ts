import { charactersOf, fingerprint, isResolved, type Alert, type Labels } from './alert'

export interface RelayOptions {
  /** Finds the evidence for an alert that was asked for at a time; bounded in time by itself. */
  readonly gather: (alert: Alert, look: Look, askedAtMs: number) => Promise<Gathered>
  /**
   * Finds what is known of an alert only once it is over, and says all of it; undefined when that is nothing new. Bounded in
   * time by itself.
   */
  readonly conclude?: (alert: Alert, incidentId: string) => Promise<Labels | undefined>
  /** Hands an alert with its evidence on to every Alertmanager. */
  readonly tell: (fingerprint: string, alert: Alert) => void
  /**
   * The alert is over, also one that is not kept track of, or nobody has mentioned it for 15 minutes.
   *
   * @returns the incident it belongs to
   */
  readonly onResolved: (alert: Alert) => string | undefined
  /** An alert that got no evidence because there are too many at once. */
  readonly onOverload: (alert: Alert) => void
  /** Gathering failed in a way that it should not. */
  readonly onFailure: (alert: Alert, error: unknown) => void
  /** How long after partial evidence it is looked for once more; default 30 s: what was asked may be back then. */
  readonly lookAgainMs?: number
}

export type Look = 'first' | 'again'

export interface Gathered {
  /** Annotations to add. */
  readonly annotations: Labels
  /** Whether a second look may find more. */
  readonly isPartial: boolean
}

/** Alerts kept track of; those above it go without evidence, their plain copies are with Alertmanager already. */
const MAX_TRACKED = 10_000
/** Characters of their labels and annotations: one alert may have 64 Ki of them. */
const MAX_TRACKED_CHARACTERS = 32 * 1024 * 1024
/** Alerts whose evidence is gathered at the same time; they ask the same Prometheus that is busy with the outage. */
const MAX_GATHERING = 8
/** Alerts that wait for their turn. */
const MAX_WAITING = 1_000
/**
 * An alert that nobody mentions is remembered for so long: a late "firing" of a resolved one is then known to be old, and one
 * that fired is over for Alertmanager long since.
 */
const REMEMBER_MS = 15 * 60_000
const LOOK_AGAIN_MS = 30_000

const NOTHING: Gathered = { annotations: {}, isPartial: false }

interface Tracked {
  alert: Alert
  characters: number
  /** Undefined while the evidence is being gathered. */
  gathered: Gathered | undefined
  /** Known from the record alone: this process has not heard of it yet. */
  isRestored: boolean
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
  #characters = 0
  #gathering = 0

  constructor(options: RelayOptions) {
    this.#options = options
  }

  /** How many alerts are known, and how many of them wait for their evidence. */
  get state(): { readonly tracked: number; readonly gathering: number; readonly waiting: number } {
    return { tracked: this.#tracked.size, gathering: this.#gathering, waiting: this.#waiting.length }
  }

  /**
   * Takes up an alert that fired when the process ended, so that it is closed when nobody mentions it any more, and its
   * evidence is told instead of being looked for among what has been forgotten meanwhile.
   */
  restore(alert: Alert, gathered: Gathered | undefined, now = Date.now()): void {
    const key = fingerprint(alert)
    const known = this.#tracked.get(key)
    if (known !== undefined && startOf(known.alert) >= startOf(alert)) return
    this.#track(key, { alert, characters: 0, gathered, isRestored: true, resolved: false, seenAt: now })
  }

  /** Returns at once; everything that takes time happens behind it. */
  receive(alerts: readonly Alert[], now = Date.now()): void {
    this.forgetOld(now)
    for (const alert of alerts) {
      const key = fingerprint(alert)
      if (isResolved(alert, now)) this.#resolve(key, alert, now)
      else this.#fire(key, alert, now)
    }
  }

  /** What nobody mentions any more is over. To be called now and then: a Prometheus that is gone posts nothing at all. */
  forgetOld(now = Date.now()): void {
    for (const [key, { alert, resolved, seenAt }] of this.#tracked) {
      if (now - seenAt <= REMEMBER_MS) continue
      this.#forget(key)
      if (!resolved) this.#options.onResolved({ ...alert, endsAt: endOf(alert, seenAt, now) })
    }
  }

  #fire(key: string, alert: Alert, now: number): void {
    const known = this.#tracked.get(key)
    if (known?.resolved === true && startOf(known.alert) >= startOf(alert)) return // old news
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
    // The end goes out first: what is found out now is told after it, and delays nothing.
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
      // A second look waits for its turn too; what ended meanwhile has been said with what was known.
      if (look === 'again' && !this.#stillFires(key, tracked)) return
      tracked.gathered = await this.#options.gather(tracked.alert, look, look === 'first' ? tracked.seenAt : Date.now())
    } finally {
      tracked.gathered ??= NOTHING
      this.#gathering--
      this.#waiting.shift()?.()
    }
    // The same alert may have ended and begun anew meanwhile: then this is not the one to speak for it.
    if (this.#tracked.get(key) === tracked) this.#tell(key, tracked)
    if (look === 'first') this.#lookAgain(key, tracked)
  }

  /** Once. As many timers as alerts are kept track of; none keeps the process alive. */
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

  /** @returns false when there are too many already */
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

  /** The newest word, or of one that grew too large the older one that still holds. */
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

/** Whether this is not the firing that is known, but a later one whose predecessor's end was missed. */
function isNews({ alert: known, isRestored, gathered }: Tracked, alert: Alert): boolean {
  if (isRestored) return gathered === undefined || startOf(known) !== startOf(alert)
  return known.endsAt !== undefined && startOf(alert) > Date.parse(known.endsAt)
}

/** Not compared as text: the same moment may be written with another offset or other digits. */
function startOf({ startsAt }: Alert): number {
  return Date.parse(startsAt)
}

/** Its own end where that has passed, or else when it was last heard of. RFC 3339. */
function endOf({ endsAt }: Alert, seenAt: number, now: number): string {
  return endsAt !== undefined && Date.parse(endsAt) <= now ? endsAt : new Date(seenAt).toISOString()
}
