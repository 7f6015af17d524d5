import type { Exchange } from './exchange'

/**
 * The set of exchanges in flight.
 *
 * An array instead of a `Set`: V8's `Set` leaves a chain of outgrown tables behind as members come and go. When a full
 * garbage collection promotes one of them, every later exchange is promoted too until the next full collection, and
 * copying them costs more than serving them.
 */
export class InFlight {
  readonly #exchanges: Exchange[] = []

  get size(): number {
    return this.#exchanges.length
  }

  add(exchange: Exchange): void {
    exchange.inFlightIndex = this.#exchanges.push(exchange) - 1
  }

  /** Removes an exchange; the last one moves to its index. */
  delete(exchange: Exchange): void {
    const last = this.#exchanges.pop()
    if (last === undefined || last === exchange) return
    this.#exchanges[exchange.inFlightIndex] = last
    last.inFlightIndex = exchange.inFlightIndex
  }

  /** Returns a copy: callers may end exchanges while they iterate. */
  all(): readonly Exchange[] {
    return [...this.#exchanges]
  }
}
