import { context, ROOT_CONTEXT } from '@opentelemetry/api'

/** Minimum download rate of a client while bytes wait for it. A slower client is disconnected. */
export interface LeastDownload {
  /** 0 requires only that some byte is read within `perMs`. */
  readonly bytesPerSecond: number
  readonly perMs: number
}

/** A response with bytes that wait for its client. The data fields are owned by this file. */
export interface WaitingResponse {
  /** Index in the list of watched responses; -1 while it is not watched. */
  paceIndex: number
  /**
   * When the client must have read more, on the monotonic clock; Infinity at first. While the response is not watched,
   * the milliseconds that are left, so that catching up briefly does not restart the time.
   */
  takeBy: number
  /** Whether the client has read everything. The response is then no longer watched. */
  readonly isTaken: boolean
  onTooSlow(): void
}

const LOOK_MS = 1_000

/** Starts to watch a response whose bytes wait for the client. */
export function expectDownload(response: WaitingResponse, least: LeastDownload): void {
  if (response.paceIndex !== -1) return
  response.takeBy = performance.now() + Math.min(least.perMs, response.takeBy)
  WATCH.add(response)
}

/**
 * Watches the end of a response. Node reports no progress before everything is read, so the time for all bytes at the
 * minimum rate is added; without a minimum rate there is no limit.
 */
export function expectEnd(response: WaitingResponse, bytes: number, least: LeastDownload): void {
  if (least.bytesPerSecond === 0 || response.paceIndex !== -1) return
  response.takeBy = performance.now() + least.perMs + (bytes / least.bytesPerSecond) * 1_000
  WATCH.add(response)
}

/** Extends the time by what the bytes that were read take at the minimum rate, up to `perMs` from now. */
export function countDownload(response: WaitingResponse, bytes: number, least: LeastDownload): void {
  const latest = performance.now() + least.perMs
  const { bytesPerSecond } = least
  response.takeBy = bytesPerSecond === 0 ? latest : Math.min(latest, response.takeBy + (bytes / bytesPerSecond) * 1_000)
}

/** Stops to watch a response that was read or whose client has left. */
export function endDownload(response: WaitingResponse): void {
  if (response.paceIndex !== -1) WATCH.delete(response)
}

/** Checks the waiting responses once a second; there is at most one for each connection. */
class PaceWatch {
  readonly #waiting: WaitingResponse[] = []
  #timer: NodeJS.Timeout | undefined

  add(response: WaitingResponse): void {
    if (response.paceIndex !== -1) return
    response.paceIndex = this.#waiting.push(response) - 1
    this.#timer ??= context.with(ROOT_CONTEXT, () => setInterval(onLook, LOOK_MS, this).unref())
  }

  /** Removes the response and moves the last one into its place. */
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
    // Backwards, because a removed response is replaced by the last one, which was already checked.
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

/** Shared by all responses of the process. */
const WATCH = new PaceWatch()

/** Defers the check: after a pause of the process, timers fire before the progress of clients is seen. */
function onLook(watch: PaceWatch): void {
  const now = performance.now()
  setImmediate(() => watch.look(now))
}
