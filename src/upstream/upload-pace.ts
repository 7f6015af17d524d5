/**
 * Minimum number of bytes that a client must send per interval. A slower client blocks a connection to the upstream.
 */
export interface SlowestPace {
  readonly bytes: number
  readonly perMs: number
}

/** Returns the minimum pace; undefined without a limit. */
export function slowestPace(bytesPerSecond: number, perMs: number): SlowestPace | undefined {
  return bytesPerSecond === 0 ? undefined : { bytes: (bytesPerSecond * perMs) / 1_000, perMs }
}

/**
 * Enforces a minimum upload rate. A chunked upload may be a slow stream, but one that trickles blocks a connection to
 * the upstream as an idle one does.
 */
export class UploadPace {
  readonly #timer: NodeJS.Timeout
  #bytes = 0
  #isStopped = false

  /**
   * @param isClientsTurn false while the upstream does not read what has arrived
   * @param onTooSlow called once
   */
  constructor(isClientsTurn: () => boolean, onTooSlow: () => void, slowest: SlowestPace) {
    this.#timer = setInterval(() => {
      // After a pause of the process, timers fire before I/O. Deferred, so that data that arrived meanwhile counts.
      setImmediate(() => {
        if (this.#isStopped) return
        const isTooSlow = this.#bytes < slowest.bytes && isClientsTurn()
        this.#bytes = 0
        if (isTooSlow) onTooSlow()
      })
    }, slowest.perMs).unref()
  }

  came(bytes: number): void {
    this.#bytes += bytes
  }

  stop(): void {
    this.#isStopped = true
    clearInterval(this.#timer)
  }
}
