import { z } from 'zod'
import type { Change } from '../evidence/evidence'

/** Maximum remembered changes; the oldest are removed first. */
export const MAX_CHANGES = 500
/** Maximum age: far more than evidence looks back. */
export const MAX_CHANGE_AGE_MS = 7 * 86_400_000
const MAX_AHEAD_MS = 5 * 60_000
/** How long a list of the store is used again: alerts that arrive together share it. */
const REREAD_MS = 1_000

/** A change that was posted to `POST /changes`. */
export interface PostedChange extends Change {
  /** The upstream it concerns; undefined: any. */
  readonly upstream?: string | undefined
}

/** A store of posted changes: Redis or a file. One contract suite tests both. */
export interface ChangeStore {
  addChange(change: PostedChange): Promise<void>
  /** Oldest first, at most `MAX_CHANGES`. */
  changes(): Promise<PostedChange[]>
}

const body = z.strictObject({
  what: z.string().trim().min(1).max(200),
  time: z.iso.datetime({ offset: true }).optional(),
  upstream: z.string().min(1).max(200).optional(),
})

/** Parses the body of `POST /changes`. */
export function parseChange(
  found: unknown,
  now: number,
): { readonly change: PostedChange } | { readonly problem: string } {
  const parsed = body.safeParse(found)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return { problem: `${issue?.path.join('.') ?? ''} ${issue?.message ?? 'invalid'}`.trim() }
  }
  const { what, time, upstream } = parsed.data
  const timeMs = time === undefined ? now : Date.parse(time)
  if (timeMs > now + MAX_AHEAD_MS) return { problem: 'time is more than 5 minutes in the future' }
  if (timeMs < now - MAX_CHANGE_AGE_MS) return { problem: 'time is more than 7 days ago' }
  return { change: { timeMs, what, ...(upstream !== undefined && { upstream }) } }
}

/** Reads a stored change; undefined if it is invalid. */
export function readChange(found: unknown): PostedChange | undefined {
  const { timeMs, what, upstream } = (found ?? {}) as Partial<PostedChange>
  if (typeof timeMs !== 'number' || typeof what !== 'string') return undefined
  return { timeMs, what, ...(typeof upstream === 'string' && { upstream }) }
}

/**
 * The changes that were posted, by deployments for example. They are in memory too, so that a store that is down costs
 * only those posted to other instances.
 */
export class ChangeLog {
  readonly #store: ChangeStore
  readonly #onStoreFailure: (error: unknown) => void
  readonly #known = new Map<string, PostedChange>()
  #read: Promise<void> | undefined
  #readAt = -Infinity

  constructor(store: ChangeStore, onStoreFailure: (error: unknown) => void) {
    this.#store = store
    this.#onStoreFailure = onStoreFailure
  }

  /** Remembers a change; one that is posted twice counts once. */
  async add(change: PostedChange): Promise<void> {
    this.#keep(change)
    await this.#store.addChange(change).catch(this.#onStoreFailure)
  }

  /** The changes of a time that concern an upstream, oldest first; all of that time without an upstream. */
  async between(startMs: number, endMs: number, upstream?: string): Promise<PostedChange[]> {
    await this.#reread()
    return [...this.#known.values()]
      .filter(({ timeMs }) => timeMs >= startMs && timeMs <= endMs)
      .filter(change => upstream === undefined || change.upstream === undefined || change.upstream === upstream)
      .sort((a, b) => a.timeMs - b.timeMs)
  }

  async #reread(): Promise<void> {
    if (this.#read === undefined || performance.now() - this.#readAt > REREAD_MS) {
      this.#readAt = performance.now()
      this.#read = this.#store
        .changes()
        .then(changes => changes.forEach(change => this.#keep(change)))
        .catch(this.#onStoreFailure)
    }
    await this.#read
  }

  #keep(change: PostedChange): void {
    this.#known.set(JSON.stringify([change.timeMs, change.what, change.upstream]), change)
    if (this.#known.size <= MAX_CHANGES) return
    const [oldest] = [...this.#known].sort(([, a], [, b]) => a.timeMs - b.timeMs)
    if (oldest !== undefined) this.#known.delete(oldest[0])
  }
}
