/** Largest number of clients counted in memory per policy. */
const MAX_CLIENTS = 100_000

/**
 * Clients of one local count, at most `MAX_CLIENTS`. Two generations make it possible to forget inactive clients without a
 * timer or a search. Above the bound the least recently seen client is evicted and later starts with a fresh count. A shared
 * count for all further clients would refuse new tenants as soon as an attacker invents enough names.
 */
export class LocalClients<Client> {
  readonly #maxClients: number
  /** End of the generation; monotonic clock. */
  #generationEnd = 0
  #current = new Map<string, Client>()
  #previous = new Map<string, Client>()

  constructor(maxClients = MAX_CLIENTS) {
    this.#maxClients = maxClients
  }

  get size(): number {
    return this.#current.size + this.#previous.size
  }

  /** Returns a client and marks it as seen. */
  get(key: string): Client | undefined {
    const known = this.#current.get(key)
    if (known !== undefined) {
      // Maps are ordered by insertion. Reordered by use only when evictions are near.
      if (this.size * 2 > this.#maxClients) {
        this.#current.delete(key)
        this.#current.set(key, known)
      }
      return known
    }
    const earlier = this.#previous.get(key)
    if (earlier === undefined) return undefined
    this.#previous.delete(key)
    this.#current.set(key, earlier)
    return earlier
  }

  /** Adds a client. Only for a key that `get` does not find. */
  add(key: string, client: Client): void {
    if (this.size >= this.#maxClients) this.#evict()
    this.#current.set(key, client)
  }

  /** Forgets clients that were not seen for two generations. */
  forgetInactive(now: number, generationMs: number): void {
    if (now < this.#generationEnd) return
    this.#generationEnd = now + generationMs
    this.#startGeneration()
  }

  #startGeneration(): void {
    this.#previous = this.#current
    this.#current = new Map()
  }

  clear(): void {
    this.#current.clear()
    this.#previous.clear()
  }

  /** Evicts the oldest client of the previous generation: its clients were not seen in the current one. */
  #evict(): void {
    if (this.#previous.size === 0) this.#startGeneration()
    for (const oldest of this.#previous.keys()) {
      this.#previous.delete(oldest)
      return
    }
  }
}
