import type { IncomingMessage } from 'node:http'

/** What a client may take its time for: fewer bytes than this in this time, and it holds a connection on purpose. */
export interface SlowestPace {
  readonly bytes: number
  readonly perMs: number
}

/** 100 bytes a second, which every modem has managed, over a time that is long for a gap in the network. */
export function slowestPace(perMs: number): SlowestPace {
  return { bytes: perMs / 10, perMs }
}

/**
 * Watches an upload whose length is known: a client that has it all sends as fast as it can. One in chunks may be a stream,
 * slow by nature; only its silence is bounded (`call-timer.ts`).
 */
export class UploadPace {
  readonly #timer: NodeJS.Timeout | undefined
  readonly #slowest: SlowestPace
  #bytes = 0
  #isStopped = false

  /**
   * @param isClientsTurn false while it is the upstream that does not take what has come
   * @param onTooSlow called at the most once
   */
  constructor(request: IncomingMessage, isClientsTurn: () => boolean, onTooSlow: () => void, slowest: SlowestPace) {
    this.#slowest = slowest
    if (request.headers['content-length'] === undefined) return
    this.#timer = setInterval(() => {
      // Timers come first after a pause of this very process, and only then what has arrived meanwhile.
      setImmediate(() => {
        if (this.#isStopped) return
        const isTooSlow = this.#bytes < this.#slowest.bytes && isClientsTurn()
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
