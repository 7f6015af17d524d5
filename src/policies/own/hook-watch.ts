import { join } from 'node:path'
import { Worker } from 'node:worker_threads'

/** Phases by their number in the shared cell. */
export const WATCHED_PHASES = [
  'onArrival',
  'onRequest',
  'onAttempt',
  'onResponse',
  'onBody',
  'transform',
  'onEnd',
] as const
export type WatchedPhase = (typeof WATCHED_PHASES)[number]

/** How often the event loop shows that it turns, and how often the worker looks. */
export const BEAT_MS = 250
/** Looks without a beat after which the loop counts as blocked: 2 seconds. Looks, not time: a suspended machine is no loop. */
export const BLOCKED_AFTER_LOOKS = 8
/** Cells of the shared memory: beats of the loop, and the running hook (0: none). */
export const BEATS = 0
export const RUNNING = 1
/** From here on, unsettled promises by number of the watched policy. */
export const PENDING = 2
/** Largest number of watched policies (a policy of a route counts as one). Further ones share the last number. */
export const MAX_WATCHED = 4_096

/** What the worker is told of a policy. */
export interface WatchedName {
  readonly number: number
  readonly policy: string
  /** Undefined for a policy under `entrypoint`. */
  readonly route: string | undefined
}

/** What the worker reports once the loop turns again. */
export interface BlockedReport {
  readonly number: number
  readonly phase: WatchedPhase
  readonly blockedMs: number
}

type OnBlocked = (phase: WatchedPhase, blockedMs: number) => void

/**
 * Names the policy that blocks the event loop. The loop cannot report itself, so a worker thread looks from outside. It starts
 * with the first hook of a custom policy: a gateway without any has neither thread nor timer.
 */
class HookWatch {
  readonly #cells = new Int32Array(new SharedArrayBuffer((PENDING + MAX_WATCHED) * Int32Array.BYTES_PER_ELEMENT))
  /** By policy and route, so that a reload takes the same number again. Bounded by `MAX_WATCHED`. */
  readonly #numbers = new Map<string, number>()
  readonly #names: WatchedName[] = []
  readonly #onBlocked: OnBlocked[] = []
  #worker: Worker | undefined

  /** @returns the number of the policy for `enter` */
  register(policy: string, route: string | undefined, onBlocked: OnBlocked): number {
    const key = JSON.stringify([policy, route])
    let number = this.#numbers.get(key)
    if (number === undefined) {
      number = Math.min(this.#numbers.size, MAX_WATCHED - 1)
      if (number === this.#numbers.size) this.#numbers.set(key, number)
      const isShared = number === MAX_WATCHED - 1
      const name = { number, policy: isShared ? 'that is one of many' : policy, route: isShared ? undefined : route }
      this.#names[number] = name
      this.#worker?.postMessage(name)
    }
    this.#onBlocked[number] = onBlocked
    return number
  }

  /** Notes that a hook runs. @returns what ran before, for `leave`: a hook may run inside another one's `respond` */
  enter(number: number, phase: number): number {
    if (this.#worker === undefined) this.#start()
    const before = this.#cells[RUNNING] as number
    // Plain stores: an atomic one is a fence, ten times as dear. The worker looks 250 ms later, late enough for every core.
    this.#cells[RUNNING] = 1 + number * WATCHED_PHASES.length + phase
    return before
  }

  leave(before: number): void {
    this.#cells[RUNNING] = before
  }

  /** Notes a promise of a hook: what runs after its first `await` cannot be told from the rest of the loop. */
  pending(number: number, promise: Promise<unknown>): void {
    Atomics.add(this.#cells, PENDING + number, 1)
    const settled = (): void => void Atomics.sub(this.#cells, PENDING + number, 1)
    promise.then(settled, settled)
  }

  #start(): void {
    this.#worker = new Worker(join(__dirname, 'hook-watch-worker.js'), {
      workerData: this.#cells,
      name: 'hook-watch',
      // Without the preloaded telemetry and NODE_OPTIONS of the process.
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    })
    this.#worker.on('message', ({ number, phase, blockedMs }: BlockedReport) => {
      this.#onBlocked[number]?.(phase, blockedMs)
    })
    // Without the watch the gateway serves as before.
    this.#worker.on('error', () => {})
    this.#worker.unref()
    for (const name of this.#names) this.#worker.postMessage(name)
    setInterval(() => Atomics.add(this.#cells, BEATS, 1), BEAT_MS).unref()
  }
}

/** The watch of this process. */
export const hookWatch = new HookWatch()
