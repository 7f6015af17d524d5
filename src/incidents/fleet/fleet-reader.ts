import type { PrometheusClient } from '../evidence/prometheus'
import { SharedAnswers } from '../evidence/shared-answers'
import { tokenRule, type Replica } from '../evidence/trace-sources'
import { askSummary, problemInWords } from './ask-summary'
import { compareReplicas, type AskedReplica } from './compare'
import type { Fleet, Scraped, Summary } from './fleet'
import { scrapedReplicas } from './scraped-replicas'

export interface FleetOptions {
  readonly prometheus: Pick<PrometheusClient, 'query' | 'scrapes' | 'targets'>
  readonly gatewayJob: string
  readonly opsToken: string | undefined
  readonly opsTokenHosts: readonly string[]
}

/** Maximum replicas that are asked and shown; the others are counted. */
export const MAX_REPLICAS = 200
/** Maximum time for Prometheus, and then for all ops ports together: no page takes longer than the two. */
export const PROMETHEUS_MS = 2_000
export const OPS_MS = 2_000
/** Maximum ops ports asked at once. Those that hang hold their place, so it is not small. */
const MAX_ASKING = 100
/** How long an answer is shared, so that many readers cost as much as one. */
const KEEP_MS = 2_000

/** Reads the state of all replicas. The work grows with their number; readers of the same two seconds share it. */
export class FleetReader {
  readonly #options: FleetOptions
  readonly #answers = new SharedAnswers(KEEP_MS)
  /** The replicas that Prometheus last named: they are still asked while it is away. Bounded by `MAX_REPLICAS`. */
  #known: readonly Scraped[] = []
  #leftOut = 0
  #tokenFor: (url: string) => string | undefined = () => undefined

  constructor(options: FleetOptions) {
    this.#options = options
  }

  async read(): Promise<Fleet> {
    return this.#answers.get('fleet', NEVER, async () => ({ answer: await this.#read(Date.now()), bytes: 0 }))
  }

  async #read(now: number): Promise<Fleet> {
    const prometheusProblem = await this.#findReplicas(now)
    const signal = AbortSignal.timeout(OPS_MS)
    const replicas = await atMost(MAX_ASKING, this.#known, async (scraped): Promise<AskedReplica> => {
      const { url, scrape } = scraped
      if (scrape === 'gone') return { ...scraped, problem: 'Prometheus no longer scrapes it' }
      if (url === undefined) return { ...scraped, problem: 'it never reported an ops port' }
      return { ...scraped, ...(await ask({ url, token: this.#tokenFor(url) }, signal)) }
    })
    return compareReplicas(replicas, { timeMs: now, leftOut: this.#leftOut, prometheusProblem })
  }

  /** Returns why Prometheus did not name the replicas; the last known ones stay. */
  async #findReplicas(now: number): Promise<string | undefined> {
    const { prometheus, gatewayJob } = this.#options
    try {
      const signal = AbortSignal.timeout(PROMETHEUS_MS)
      const found = await scrapedReplicas(prometheus, gatewayJob, now, signal)
      this.#tokenFor = await tokenRule(this.#options, signal)
      this.#known = found.slice(0, MAX_REPLICAS)
      this.#leftOut = found.length - this.#known.length
      return undefined
    } catch (error) {
      // What it said before is old: only the addresses are still of use.
      this.#known = this.#known.map(replica => ({ ...replica, load: {}, ejected: [] }))
      return problemInWords(error, true)
    }
  }
}

const NEVER = new AbortController().signal

async function ask(replica: Replica, signal: AbortSignal): Promise<{ summary: Summary } | { problem: string }> {
  try {
    return { summary: await askSummary(replica, signal) }
  } catch (error) {
    return { problem: problemInWords(error, replica.token !== undefined) }
  }
}

/** Maps values with so many calls in flight at most. */
async function atMost<Value, Result>(
  max: number,
  values: readonly Value[],
  map: (value: Value) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  let next = 0
  const work = async (): Promise<void> => {
    while (next < values.length) {
      const index = next++
      results[index] = await map(values[index] as Value)
    }
  }
  await Promise.all(Array.from({ length: Math.min(max, values.length) }, work))
  return results
}
