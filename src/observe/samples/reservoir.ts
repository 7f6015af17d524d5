/**
 * A uniform sample of a stream: each item that came is in it with the same chance. Algorithm L (Li 1994): it draws how many
 * items to skip instead of a number for each, so an item that is not taken costs a decrement.
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

  /** How many items the sample stands for. */
  get seen(): number {
    return this.#seen
  }

  /** Counts an item. @returns where it has to be put, or -1 when it is not taken: it need not be made then */
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

  /** Never 0: its logarithm would end all sampling. */
  #draw(): number {
    return this.#random() || Number.EPSILON
  }
}
