import type { Exchange } from './exchange'

/**
 * The exchanges under way.
 *
 * Not a `Set`: V8's leaves a chain of outgrown tables behind as members come and go. Once a full garbage collection has
 * moved one of these to the old generation, every exchange after it outlives its own collection as well, until the next
 * full one, and copying them costs more than serving them did.
 */
export class InFlight {
  readonly #exchanges: Exchange[] = []

  get size(): number {
    return this.#exchanges.length
  }

  add(exchange: Exchange): void {
    exchange.inFlightIndex = this.#exchanges.push(exchange) - 1
  }

  /** The last one takes the free place. */
  delete(exchange: Exchange): void {
    const last = this.#exchanges.pop()
    if (last === undefined || last === exchange) return
    this.#exchanges[exchange.inFlightIndex] = last
    last.inFlightIndex = exchange.inFlightIndex
  }

  /** As they are now: what is done with them may end them. */
  all(): readonly Exchange[] {
    return [...this.#exchanges]
  }
}
