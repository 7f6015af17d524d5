import { promises as dns } from 'node:dns'
import { isIP } from 'node:net'
import type { TargetConfig } from '../../config/values/target'
import type { TargetSource } from '../../config/values/target-source'
import { MAX_TARGETS } from '../../config/target-list'

/** Maximum servers of an SRV answer whose addresses are looked up. */
const MAX_SERVERS = 100
const TIMEOUT_MS = 1_000
const TRIES = 2

export interface Answer {
  readonly targets: readonly TargetConfig[]
  /** The shortest time to live of its addresses, in seconds; Infinity if none has one. */
  readonly ttlS: number
}

type DnsSource = Extract<TargetSource, { kind: 'dns' | 'srv' }>

/** Asks name servers for the targets of a source. The system's file of hosts is not consulted, because it has no records. */
export class DnsQuery {
  readonly #source: DnsSource
  readonly #resolver = new dns.Resolver({ timeout: TIMEOUT_MS, tries: TRIES })

  /** @param servers undefined: those of the system */
  constructor(source: DnsSource, servers: readonly string[] | undefined) {
    this.#source = source
    if (servers !== undefined) this.#resolver.setServers([...servers])
  }

  /** @throws the error of the name server; an answer without any address is an error too */
  async ask(): Promise<Answer> {
    const source = this.#source
    const answer = source.kind === 'dns' ? await this.#addressTargets(source.origin, {}) : await this.#servers(source)
    if (answer.targets.length > 0) return { ...answer, targets: inOrder(answer.targets).slice(0, MAX_TARGETS) }
    throw Object.assign(new Error('the answer has no address'), { code: 'ENODATA' })
  }

  cancel(): void {
    this.#resolver.cancel()
  }

  async #servers({ name, scheme }: Extract<DnsSource, { kind: 'srv' }>): Promise<Answer> {
    const records = await this.#resolver.resolveSrv(name)
    const asked = records
      .filter(({ port, name: server }) => port > 0 && server !== '' && server !== '.')
      .toSorted((a, b) => a.priority - b.priority)
      .slice(0, MAX_SERVERS)
    const results = await Promise.allSettled(
      asked.map(async ({ name: server, port, priority, weight }) =>
        // An SRV weight of 0 means hardly any requests; the smallest share here is 1.
        this.#addressTargets(`${scheme}://${server}:${port}`, { weight: Math.max(1, weight), priority }),
      ),
    )
    const answers = results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
    // A server whose name fails would vanish, with its connections, because of one lost packet.
    const failed = results.find(result => result.status === 'rejected')
    if (failed !== undefined && !isGone(failed.reason)) throw failed.reason
    return {
      targets: answers.flatMap(({ targets }) => targets),
      ttlS: Math.min(Infinity, ...answers.map(({ ttlS }) => ttlS)),
    }
  }

  async #addressTargets(origin: string, more: { weight?: number; priority?: number }): Promise<Answer> {
    const { protocol, host, hostname, port } = new URL(origin)
    const addresses = await this.#addressesOf(hostname)
    return {
      targets: addresses.map(({ address }) => ({
        origin: new URL(`${protocol}//${address.includes(':') ? `[${address}]` : address}${port && `:${port}`}`).origin,
        weight: more.weight ?? 1,
        ...(isIP(hostname) === 0 && { authority: host }),
        ...(more.priority !== undefined && { priority: more.priority }),
      })),
      ttlS: Math.min(Infinity, ...addresses.map(({ ttl }) => ttl)),
    }
  }

  async #addressesOf(name: string): Promise<{ readonly address: string; readonly ttl: number }[]> {
    if (isIP(name) !== 0) return [{ address: name, ttl: Infinity }]
    const results = await Promise.allSettled([
      this.#resolver.resolve4(name, { ttl: true }),
      this.#resolver.resolve6(name, { ttl: true }),
    ])
    const found = results.flatMap(result => (result.status === 'fulfilled' ? result.value : []))
    const failed = results.filter(result => result.status === 'rejected').map(({ reason }) => reason as Error)
    // The absence of one family is normal. A time-out is not: half of the targets would vanish.
    const broken = failed.find(reason => !isGone(reason)) ?? (found.length === 0 ? failed[0] : undefined)
    if (broken !== undefined) throw broken
    return found
  }
}

/** The server said that there is no such record. */
function isGone(reason: unknown): boolean {
  const { code } = reason as NodeJS.ErrnoException
  return code === 'ENODATA' || code === 'ENOTFOUND'
}

/** Sorted, so that an answer in another order is no change; without repetitions. */
function inOrder(targets: readonly TargetConfig[]): TargetConfig[] {
  const byOrigin = new Map(targets.toReversed().map(target => [target.origin, target]))
  return [...byOrigin.values()].toSorted(
    (a, b) => (a.priority ?? 0) - (b.priority ?? 0) || (a.origin < b.origin ? -1 : 1),
  )
}
