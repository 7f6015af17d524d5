import type { Cluster, Redis } from 'ioredis'

export const SLOTS = 16_384
/** Tries to find a key in one of a master's slots. Enough for a master with a dozen of them; all have thousands. */
const MAX_TRIES = 10_000

/**
 * The slots of a cluster whose master is not used. All counts of a client are in one slot, so clients of other slots keep
 * exact limits. Slots, not nodes, because a failover gives them to another node that has to be tested first.
 */
export class LostSlots {
  readonly #cluster: Pick<Cluster, 'slots'>
  /** At most all slots. */
  readonly #lost = new Set<number>()
  /** Slots that are being prepared for use. */
  #returning: ReadonlySet<number> = NONE

  constructor(cluster: Pick<Cluster, 'slots'>) {
    this.#cluster = cluster
  }

  get size(): number {
    return this.#lost.size
  }

  get areAll(): boolean {
    return this.#lost.size >= SLOTS
  }

  /** Whether the key's master is not used. Costs a hash only while there are lost slots. */
  has(key: string): boolean {
    return this.#lost.size > 0 && this.#lost.has(slotOf(key))
  }

  /** The same after the slots that are being prepared are used again. */
  willHave(key: string): boolean {
    if (this.#lost.size === 0) return false
    const slot = slotOf(key)
    return this.#lost.has(slot) && !this.#returning.has(slot)
  }

  /** Whether a node is the master of lost slots that are not being prepared. */
  isMaster({ options: { host, port } }: Redis): boolean {
    if (this.#lost.size === 0) return false
    const name = `${host}:${port}`
    for (const slot of this.#lost) {
      if (this.#masterOf(slot) === name && !this.#returning.has(slot)) return true
    }
    return false
  }

  /** Marks all slots of the key's master as lost. */
  lose(key: string): void {
    const lost = slotOf(key)
    const master = this.#masterOf(lost)
    this.#lost.add(lost)
    for (let slot = 0; slot < SLOTS; slot++) if (this.#masterOf(slot) === master) this.#lost.add(slot)
  }

  /** For each master its slots, or the lost ones among them, and a key in one of these. */
  probes(only: 'all' | 'lost'): { readonly key: string; readonly slots: ReadonlySet<number> }[] {
    const shards = new Map<string, Set<number>>()
    for (let slot = 0; slot < SLOTS; slot++) {
      const master = this.#masterOf(slot)
      if (master === undefined || (only === 'lost' && !this.#lost.has(slot))) continue
      const slots = shards.get(master)
      if (slots === undefined) shards.set(master, new Set([slot]))
      else slots.add(slot)
    }
    return [...shards.values()].flatMap(slots => {
      const key = keyIn(slots)
      return key === undefined ? [] : [{ key, slots }]
    })
  }

  /** Runs `prepare` with slots that are used again afterwards, unless it fails. */
  async give(slots: ReadonlySet<number>, prepare: () => Promise<void>): Promise<void> {
    this.#returning = slots
    try {
      await prepare()
      for (const slot of slots) this.#lost.delete(slot)
    } finally {
      this.#returning = NONE
    }
  }

  clear(): void {
    this.#lost.clear()
  }

  /** `host:port` of the slot's master, as the cluster's client knows it. */
  #masterOf(slot: number): string | undefined {
    return this.#cluster.slots[slot]?.[0]
  }
}

const NONE: ReadonlySet<number> = new Set()

function keyIn(slots: ReadonlySet<number>): string | undefined {
  for (let i = 0; i < MAX_TRIES; i++) {
    const key = `myesi:probe:${i}`
    if (slots.has(slotOf(key))) return key
  }
  return undefined
}

/** The slot of a key: CRC16 (XMODEM) of its hash tag, the first part in braces, or of the whole key. */
export function slotOf(key: string): number {
  const open = key.indexOf('{')
  const close = open === -1 ? -1 : key.indexOf('}', open + 1)
  const bytes = Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key)
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021
    crc &= 0xffff
  }
  return crc % SLOTS
}
