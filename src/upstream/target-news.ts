import { createHash } from 'node:crypto'

/** An ejection of a target, or its end. Times are milliseconds since the epoch, which all processes of a machine share. */
export type CircuitNews =
  | { readonly state: 'open'; readonly untilMs: number }
  /** `half_open`: a target that was down takes connections again. */
  | { readonly state: 'down' | 'half_open' | 'closed' }

/** The verdict after a health check. */
export interface HealthNews {
  readonly isHealthy: boolean
  /** Why the last check failed; null if it passed. */
  readonly failure: string | null
}

/** What one process has found out about a target, for the other ones. */
export interface TargetNews {
  /** Equal for targets with equal settings. */
  readonly target: string
  readonly circuit?: CircuitNews
  readonly health?: HealthNews
}

/** A target that takes news from other processes. */
export interface NewsTaker {
  readonly hear: (news: TargetNews) => void
  /** Called when this process has to make the health checks of all. */
  readonly startChecks: () => void
}

/** Targets of which the last news are remembered, for a process or a target that comes later; the oldest are forgotten. */
const MAX_REMEMBERED = 10_000

/** The last news of each target. */
export class RememberedNews {
  readonly #last = new Map<string, TargetNews>()

  add(news: TargetNews): void {
    const { target } = news
    const before = this.#last.get(target)
    this.#last.delete(target)
    this.#last.set(target, { ...before, ...news })
    if (this.#last.size <= MAX_REMEMBERED) return
    for (const oldest of this.#last.keys()) return void this.#last.delete(oldest)
  }

  of(target: string): TargetNews | undefined {
    return this.#last.get(target)
  }

  all(): TargetNews[] {
    return [...this.#last.values()]
  }
}

/** Exchanges with other processes what is known about targets: ejections, and health checks, which only one process makes. */
export class TargetExchange {
  readonly #send: (news: TargetNews) => void
  readonly #takers = new Map<string, Set<NewsTaker>>()
  readonly #remembered = new RememberedNews()
  #isChecking = false

  constructor(send: (news: TargetNews) => void) {
    this.#send = send
  }

  /** Whether this process makes the health checks. */
  get isChecking(): boolean {
    return this.#isChecking
  }

  /** Returns the name of a target in news. */
  static nameOf(upstreamName: string, origin: string, settings: object): string {
    const digest = createHash('sha256').update(JSON.stringify(settings)).digest('base64url')
    return `${upstreamName} ${origin} ${digest}`
  }

  /** Adds a target, which takes at once what is known about it. */
  join(target: string, taker: NewsTaker): void {
    const takers = this.#takers.get(target) ?? new Set()
    this.#takers.set(target, takers.add(taker))
    const known = this.#remembered.of(target)
    if (known !== undefined) taker.hear(known)
  }

  leave(target: string, taker: NewsTaker): void {
    const takers = this.#takers.get(target)
    takers?.delete(taker)
    if (takers?.size === 0) this.#takers.delete(target)
  }

  /** Tells the others. */
  tell(news: TargetNews): void {
    this.#remembered.add(news)
    this.#send(news)
  }

  /** Takes what another process has told. */
  hear(news: TargetNews): void {
    this.#remembered.add(news)
    for (const taker of this.#takers.get(news.target) ?? []) taker.hear(news)
  }

  /** Makes the health checks from now on. */
  check(): void {
    if (this.#isChecking) return
    this.#isChecking = true
    for (const takers of this.#takers.values()) for (const { startChecks } of takers) startChecks()
  }
}
