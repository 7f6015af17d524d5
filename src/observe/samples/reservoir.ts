/**
 * A uniform random sample of a stream (Algorithm L, Li 1994). It draws how many items to skip instead of a number for
 * each item, so that an item that is not sampled costs only a decrement.
 */
export class Reservoir<Item> {
  readonly items: Item[] = []
  readonly #capacity: number
  readonly #random: () => number
  #seen = 0
  #skip = 0
  #weight = 1

  constructor(capacity: number, random: () => number = Math.random) {
    this.#capacity = capacity
    this.#random = random
  }

  /** Number of items that the sample represents. */
  get seen(): number {
    return this.#seen
  }

  /** Counts an item. @returns the index at which to store it, or -1 if it is not sampled and need not be created */
  next(): number {
    this.#seen++
    if (this.items.length < this.#capacity) {
      if (this.items.length === this.#capacity - 1) this.#drawSkip()
      return this.items.length
    }
    if (this.#skip > 0) {
      this.#skip--
      return -1
    }
    this.#drawSkip()
    return Math.floor(this.#random() * this.#capacity)
  }

  put(index: number, item: Item): void {
    this.items[index] = item
  }

  #drawSkip(): void {
    this.#weight *= Math.exp(Math.log(this.#draw()) / this.#capacity)
    this.#skip = Math.floor(Math.log(this.#draw()) / Math.log(1 - this.#weight))
  }

  /** Returns a random number that is never 0, whose logarithm would end all sampling. */
  #draw(): number {
    return this.#random() || Number.EPSILON
  }
}
