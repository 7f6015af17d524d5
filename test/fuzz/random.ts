/** Random numbers from a seed (mulberry32): a run can be repeated. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** 0 up to 1, without 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  /** 0 up to `end`, without `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T
  }

  /** One of `usual` nearly always, else one of `rare`. */
  rarely<T>(probability: number, rare: readonly T[], usual: readonly T[]): T {
    return this.pick(this.chance(probability) ? rare : usual)
  }
}

/** Bytes as a text, one character per byte, with a few of them changed, lost, repeated or new. */
export function mutateBytes(text: string, random: Random): string {
  let mutated = text
  for (let edits = 1 + random.below(3); edits > 0; edits--) {
    const at = random.below(mutated.length + 1)
    const until = Math.min(mutated.length, at + 1 + random.below(random.chance(0.2) ? 40 : 3))
    const slice = mutated.slice(at, until)
    const middle = random.pick(['', slice + slice, random.pick(SIGNIFICANT), slice + random.pick(SIGNIFICANT)])
    mutated = mutated.slice(0, at) + middle + mutated.slice(until)
  }
  return mutated
}

const SIGNIFICANT = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  ' ',
  '\t',
  '\0',
  ':',
  ',',
  ';',
  '"',
  '0',
  '\x0b',
  '\x7f',
  '\xff',
  '\x85',
  '/',
]
