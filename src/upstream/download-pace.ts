import { context, ROOT_CONTEXT } from '@opentelemetry/api'

/** What a client must take at the least while bytes wait for it: less in this time, and it is cut off. */
export interface LeastDownload {
  /** 0: any byte at all. */
  readonly bytesPerSecond: number
  readonly perMs: number
}

/** A response whose bytes wait for its client. Its fields belong to this file. */
export interface WaitingResponse {
  /** Index among those that are watched; -1 while it is not. */
  paceIndex: number
  /**
   * On the monotonic clock: by when the client must have taken more. While it is not watched, the milliseconds that are left:
   * catching up for a moment is no new start. Infinity at first.
   */
  takeBy: number
  /** Whether everything has been taken: it is then watched no longer. */
  readonly isTaken: boolean
  onTooSlow(): void
}

const LOOK_MS = 1_000

/** Bytes wait for the client from now on. */
export function expectDownload(response: WaitingResponse, least: LeastDownload): void {
  if (response.paceIndex !== -1) return
  response.takeBy = performance.now() + Math.min(least.perMs, response.takeBy)
  WATCH.add(response)
}

/**
 * The end of a response waits for the client. Nothing shows what it takes until it has taken all, so that it has the time
 * for that at the least pace, too; without one, all the time it wants.
 */
export function expectEnd(response: WaitingResponse, bytes: number, least: LeastDownload): void {
  if (least.bytesPerSecond === 0 || response.paceIndex !== -1) return
  response.takeBy = performance.now() + least.perMs + (bytes / least.bytesPerSecond) * 1_000
  WATCH.add(response)
}

/** The client took some: it has as much more time as the least pace allows for them, and never more than at the start. */
export function countDownload(response: WaitingResponse, bytes: number, least: LeastDownload): void {
  const latest = performance.now() + least.perMs
  const { bytesPerSecond } = least
  response.takeBy = bytesPerSecond === 0 ? latest : Math.min(latest, response.takeBy + (bytes / bytesPerSecond) * 1_000)
}

/** Nothing waits any more, or the client is gone. */
export function endDownload(response: WaitingResponse): void {
  if (response.paceIndex !== -1) WATCH.delete(response)
}

/** Looks once a second at the responses that wait for their clients: at most one for each connection. */
class PaceWatch {
  readonly #waiting: WaitingResponse[] = []
  #timer: NodeJS.Timeout | undefined

  add(response: WaitingResponse): void {
    if (response.paceIndex !== -1) return
    response.paceIndex = this.#waiting.push(response) - 1
    this.#timer ??= context.with(ROOT_CONTEXT, () => setInterval(onLook, LOOK_MS, this).unref())
  }

  /** The last one takes the free place. */
  delete(response: WaitingResponse): void {
    const last = this.#waiting.pop()
    if (last !== undefined && last !== response) {
      this.#waiting[response.paceIndex] = last
      last.paceIndex = response.paceIndex
    }
    response.paceIndex = -1
    response.takeBy = Math.max(0, response.takeBy - performance.now())
  }

  look(now: number): void {
    // From the end: one that is taken out is replaced by the last one, which was looked at.
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      const response = this.#waiting[i]
      if (response === undefined) continue
      if (response.isTaken) this.delete(response)
      else if (response.takeBy < now) {
        this.delete(response)
        response.onTooSlow()
      }
    }
    if (this.#waiting.length > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** Of this process. */
const WATCH = new PaceWatch()

/** Timers come first after a pause of this very process, and only then what clients have taken meanwhile. */
function onLook(watch: PaceWatch): void {
  const now = performance.now()
  setImmediate(() => watch.look(now))
}
