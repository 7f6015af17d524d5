import { percentile } from './statistics.ts'

/**
 * What a load needs, and a simulation of the three assumptions behind it: `node bench/scaling.ts`. docs/scaling.md explains the
 * output. All random numbers come from one seed, so that two runs print the same.
 */

/** Measured costs; docs/scaling.md says where each stands. */
const COST = {
  /** µs of CPU for a request with full telemetry, 1 % of the traces exported. */
  request: 91,
  /** µs more for a limit in Redis. */
  limitInRedis: 70,
  /** µs of Redis' CPU for a decision by GCRA that comes alone, and among 32. */
  decisionAlone: 29.1,
  decisionInBatch: 13.1,
  /** Kept traces per second for a core of a Collector that writes them to its queue on disk. */
  tracesPerCollectorCore: 2000,
  /** Series of one replica: `npm run budget` for the shipped gateway.yaml. */
  seriesPerReplica: Number(process.argv[2] ?? 3000),
} as const

/** Shares of a core that are planned with; the queue below shows why. */
const GATEWAY_UTILISATION = 0.65
const REDIS_UTILISATION = 0.6
const SCRAPE_SECONDS = 15
const SAMPLED = 0.01

const RATES = [1_000, 10_000, 100_000, 1_000_000]

interface Plan {
  readonly rate: number
  readonly replicas: number
  readonly redisShards: number
  readonly redisShardsBatched: number
  readonly tracesPerSecond: number
  readonly collectorCores: number
  readonly series: number
  readonly samplesPerSecond: number
}

function planFor(rate: number): Plan {
  // One more than needed: a replica may be lost.
  const replicas = Math.ceil((rate * (COST.request + COST.limitInRedis)) / 1e6 / GATEWAY_UTILISATION) + 1
  const shards = (cost: number): number => Math.ceil((rate * cost) / 1e6 / REDIS_UTILISATION)
  const tracesPerSecond = rate * SAMPLED
  const series = replicas * COST.seriesPerReplica
  return {
    rate,
    replicas,
    redisShards: shards(COST.decisionAlone),
    redisShardsBatched: shards(COST.decisionInBatch),
    tracesPerSecond,
    collectorCores: Math.max(2, Math.ceil(tracesPerSecond / COST.tracesPerCollectorCore / GATEWAY_UTILISATION)),
    series,
    samplesPerSecond: Math.round(series / SCRAPE_SECONDS),
  }
}

/** A small generator of random numbers (mulberry32): the same for each run. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

const random = randomFrom(19)
const exponential = (mean: number): number => -mean * Math.log(1 - random())

/**
 * Waiting time in one replica: requests arrive at random, one event loop serves them in order, and one of a hundred costs ten
 * times as much (a large body, a collection of garbage).
 */
function waitsAt(utilisation: number, requests: number): { p50: number; p99: number } {
  const usual = (COST.request + COST.limitInRedis) / 1.09
  const between = (COST.request + COST.limitInRedis) / utilisation
  let free = 0
  let now = 0
  const waits: number[] = []
  for (let i = 0; i < requests; i++) {
    now += exponential(between)
    const start = Math.max(now, free)
    waits.push((start - now) / 1000)
    free = start + usual * (random() < 0.01 ? 10 : 1)
  }
  return { p50: percentile(waits, 0.5), p99: percentile(waits, 0.99) }
}

/**
 * A limit that replicas count by themselves and exchange every `syncMs`: how many requests above the limit pass in a window, as
 * a share of it. The client sends `overload` times its limit, spread over all replicas.
 */
function excessOf(limit: number, overload: number, replicas: number, syncMs: number, windowMs: number): number {
  const known = Array.from({ length: replicas }, () => 0)
  const since = Array.from({ length: replicas }, () => 0)
  let passed = 0
  let nextSync = random() * syncMs
  const between = windowMs / (limit * overload)
  for (let now = exponential(between); now < windowMs; now += exponential(between)) {
    while (now >= nextSync) {
      const all = known[0]! + since.reduce((sum, count) => sum + count, 0)
      known.fill(all)
      since.fill(0)
      nextSync += syncMs
    }
    const replica = Math.floor(random() * replicas)
    if (known[replica]! + since[replica]! >= limit) continue
    since[replica]! += 1
    passed++
  }
  return Math.max(0, passed - limit) / limit
}

const table = (head: readonly string[], rows: readonly (readonly (string | number)[])[]): void => {
  const line = (cells: readonly (string | number)[]): string =>
    `| ${cells.map(cell => (typeof cell === 'number' ? cell.toLocaleString('en') : cell)).join(' | ')} |`
  process.stdout.write(`${[line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n')}\n`)
}

const plans = RATES.map(planFor)
table(
  [
    'requests/s',
    'replicas (cores)',
    'Redis shards, alone',
    'Redis shards, in batches',
    'traces/s at 1 %',
    'Collector cores',
    'series',
    'samples/s',
  ],
  plans.map(plan => Object.values(plan) as number[]),
)
table(
  ['share of a core', 'requests/s', 'wait p50 ms', 'wait p99 ms'],
  [0.5, 0.65, 0.8, 0.9, 0.95].map(share => {
    const { p50, p99 } = waitsAt(share, 400_000)
    return [share, Math.round((share * 1e6) / (COST.request + COST.limitInRedis)), p50.toFixed(2), p99.toFixed(2)]
  }),
)
const exchanges = [10, 100, 1000]
table(
  ['limit in 60 s, client sends twice as much', ...exchanges.map(ms => `exchange every ${ms} ms`), 'bound at 1 s'],
  [600, 6_000, 60_000].map(limit => [
    limit,
    ...exchanges.map(ms => {
      const runs = Array.from({ length: 30 }, () => excessOf(limit, 2, 250, ms, 60_000))
      return `${(100 * Math.max(...runs)).toFixed(2)} %`
    }),
    `${((100 * 2 * 1000) / 60_000).toFixed(2)} %`,
  ]),
)
