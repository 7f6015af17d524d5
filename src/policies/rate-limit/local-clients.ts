/** Clients counted in memory per policy. */
const MAX_CLIENTS = 100_000

/**
 * The clients of one local count, `MAX_CLIENTS` at most. In two generations, so that clients that left are forgotten without a
 * timer or a search; above the bound the client goes that was not seen for longest. Its next request finds a fresh count:
 * sharing one count instead would refuse tenants that were never seen, once somebody makes up enough names.
 */
export class LocalClients<Client> {
  readonly #maxClients: number
  #current = new Map<string, Client>()
  #previous = new Map<string, Client>()

  constructor(maxClients = MAX_CLIENTS) {
    this.#maxClients = maxClients
  }

  get size(): number {
    return this.#current.size + this.#previous.size
  }

  /** A client that is asked for counts as seen. */
  get(key: string): Client | undefined {
    const known = this.#current.get(key)
    if (known !== undefined) {
      // The order of a map is that of insertion. Kept in that of use only where somebody may have to go soon.
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

  /** Only for a key that `get` does not find. */
  add(key: string, client: Client): void {
    if (this.size >= this.#maxClients) this.#evict()
    this.#current.set(key, client)
  }

  /** Forgets the clients that were not seen since the last time. */
  forgetUnseen(): void {
    this.#previous = this.#current
    this.#current = new Map()
  }

  clear(): void {
    this.#current.clear()
    this.#previous.clear()
  }

  /** A map keeps the order in which keys came; those of the previous generation were not seen in this one. */
  #evict(): void {
    if (this.#previous.size === 0) this.forgetUnseen()
    for (const oldest of this.#previous.keys()) {
      this.#previous.delete(oldest)
      return
    }
  }
}
