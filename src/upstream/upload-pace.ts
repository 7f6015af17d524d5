/** The fewest bytes that a client may send in a time; below that it holds a connection to the upstream on purpose. */
export interface SlowestPace {
  readonly bytes: number
  readonly perMs: number
}

/** Undefined where there is no bound. */
export function slowestPace(bytesPerSecond: number, perMs: number): SlowestPace | undefined {
  return bytesPerSecond === 0 ? undefined : { bytes: (bytesPerSecond * perMs) / 1_000, perMs }
}

/**
 * Watches how fast an upload comes. A client that has the whole body sends as fast as it can; one in chunks may be a stream,
 * but one that trickles costs the upstream a connection, as an idle one does.
 */
export class UploadPace {
  readonly #timer: NodeJS.Timeout
  #bytes = 0
  #isStopped = false

  /**
   * @param isClientsTurn false while it is the upstream that does not take what has come
   * @param onTooSlow called once
   */
  constructor(isClientsTurn: () => boolean, onTooSlow: () => void, slowest: SlowestPace) {
    this.#timer = setInterval(() => {
      // Timers come first after a pause of this very process, and only then what has arrived meanwhile.
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
