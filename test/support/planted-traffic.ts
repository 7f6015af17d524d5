import type {
  ReplicaSamples,
  SampledGroup,
  SampledRequest,
} from '../../src/incidents/evidence/comparison/sampled-requests'
import { Reservoir } from '../../src/observe/samples/reservoir'

/** What was planted into simulated traffic. */
export interface PlantedCase {
  readonly cause: Cause
  /** Each as `[dimension, value]`; empty where nothing was planted. */
  readonly planted: readonly (readonly [string, string])[]
  readonly family: 'faults' | 'latency'
  readonly replicas: readonly ReplicaSamples[]
  /** Since when an alert looks at it: some time before it began. */
  readonly lookFromMs: number
  readonly failed: number
  readonly detail: string
}

export const CAUSES = ['target', 'release', 'consumer', 'path', 'slow dependency', 'mixture', 'client', 'none'] as const
export type Cause = (typeof CAUSES)[number]

/** A generator of numbers that a seed decides (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

const SLOT_MS = 30_000
/** What more of all requests have cannot be told from what all have. */
const MOST_HIT = 0.8
const START_MS = 1_700_000_010_000 - (1_700_000_010_000 % SLOT_MS)
const METHODS = ['GET', 'POST', 'PUT', 'DELETE'] as const
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'PUT', 'DELETE'])
const PATHS = ['/items', '/items/{2-3 digits}', '/items/{uuid}', '/search', '/cart', '/cart/{word, 4-6}', '/export']
const AGENTS = [
  'Firefox',
  'Chrome',
  'Chrome mobile',
  'Safari',
  'curl 8',
  'okhttp 4',
  'python-requests 2',
  'Go-http-client 2',
]
const HEADERS = [
  'accept-encoding',
  'accept-language',
  'authorization',
  'cookie',
  'if-none-match',
  'origin',
  'referer',
  'traceparent',
]

/** Traffic as a shop has it, through the gateway's own sampling: skewed and correlated values, errors at random, a cause. */
export function plantTraffic(cause: Cause, random: () => number): PlantedCase {
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item
  const between = (low: number, high: number): number => low + random() * (high - low)
  const skewed = (count: number, skew: number): (() => number) => {
    const weights = Array.from({ length: count }, (_, index) => 1 / (index + 1) ** skew)
    const total = weights.reduce((a, b) => a + b)
    return () => {
      let left = random() * total
      return Math.max(
        0,
        weights.findIndex(weight => (left -= weight) < 0),
      )
    }
  }

  const targets = Array.from({ length: 2 + Math.floor(random() * 4) }, (_, index) => `10.0.0.${index + 5}:9001`)
  const instances = ['gateway-1:9464', 'gateway-2:9464', 'gateway-3:9464'].slice(0, 1 + Math.floor(random() * 3))
  const consumers = Array.from({ length: 40 }, (_, index) => {
    const agent = Math.floor(random() * AGENTS.length)
    return {
      name: `consumer-${index}`,
      tier: pick(['free', 'free', 'pro', 'enterprise']),
      network: `192.0.${Math.floor(random() * 25)}.0/24`,
      agents: [agent, (agent + 1) % AGENTS.length],
      host: pick(['shop.example.com', 'shop.example.com', 'api.example.com']),
      favourite: Math.floor(random() * PATHS.length),
    }
  })
  const nextConsumer = skewed(consumers.length, between(0.5, 1.3))
  const nextPath = skewed(PATHS.length, between(0.4, 1.2))
  const nextMethod = skewed(METHODS.length, between(0.8, 1.6))
  const headerShares = HEADERS.map(() => random())
  // A release runs on some of the targets; where it runs on one alone, both names mean the same requests.
  const newOn = new Set(targets.slice(0, Math.max(1, Math.floor(random() * targets.length))))

  // Requests of one client come in runs, and now and then a batch job begins: both look like causes and are none.
  const staying = random() < 0.5 ? between(0.2, 0.7) : 0
  const batch = {
    consumer: nextConsumer(),
    share: random() < 0.3 ? between(0.05, 0.4) : 0,
    fromMs: START_MS + between(0, 20) * SLOT_MS,
  }
  let current = nextConsumer()
  const consumerAt = (timeMs: number): (typeof consumers)[number] => {
    if (timeMs >= batch.fromMs && random() < batch.share) return consumers[batch.consumer] as (typeof consumers)[number]
    if (random() >= staying) current = nextConsumer()
    return consumers[current] as (typeof consumers)[number]
  }

  const request = (timeMs: number): { sample: SampledRequest; release: string } => {
    const consumer = consumerAt(timeMs)
    const agent = AGENTS[consumer.agents[random() < 0.8 ? 0 : 1] ?? 0] ?? ''
    const isBrowser = /Firefox|Chrome|Safari/.test(agent)
    const path = PATHS[random() < 0.3 ? consumer.favourite : nextPath()] ?? ''
    const method = path === '/search' ? 'GET' : (METHODS[nextMethod()] ?? 'GET')
    const hasBody = method === 'POST' || method === 'PUT'
    const target = pick(targets)
    return {
      release: newOn.has(target) ? '1.4.2' : '1.4.1',
      sample: {
        timeMs,
        durationMs: 20,
        routeName: 'shop',
        upstream: 'shop',
        target,
        attempts: 1,
        method,
        host: consumer.host,
        path,
        query: path === '/search' || random() < 0.1 ? 'present' : 'absent',
        status: 200,
        consumer: consumer.name,
        tier: consumer.tier,
        clientNetwork: consumer.network,
        userAgent: agent,
        protocol: isBrowser && random() < 0.7 ? '2.0' : '1.1',
        tls: random() < 0.9 ? 'TLSv1.3' : 'TLSv1.2',
        contentType: hasBody ? pick(['application/json', 'application/json', 'multipart/form-data']) : 'none',
        requestSize: hasBody ? pick(['64-256 B', '256-1024 B', '1-4 KiB', '4-16 KiB']) : 'none',
        responseSize: '1-4 KiB',
        headers: HEADERS.filter((name, index) =>
          name === 'cookie' || name === 'referer' ? isBrowser && random() < 0.9 : random() < (headerShares[index] ?? 0),
        ),
      },
    }
  }

  const background = 10 ** between(-3, Math.log10(0.02))
  const isSlow = cause === 'slow dependency'
  const hasRetries = !isSlow && random() < 0.6
  const example = request(0)
  const planted: (readonly [string, string])[] = []
  const plant = (kind: Cause): ((sample: SampledRequest, release: string) => boolean) => {
    if (kind === 'target') {
      const bad = pick(targets)
      planted.push(['target', bad])
      return ({ target }) => target === bad
    }
    if (kind === 'release') {
      planted.push(['release', '1.4.2'])
      return (_sample, release) => release === '1.4.2'
    }
    if (kind === 'consumer') {
      const { name } = consumers[nextConsumer()] ?? { name: '' }
      planted.push(['consumer', name])
      return ({ consumer }) => consumer === name
    }
    if (kind === 'client') {
      const agent = example.sample.userAgent
      planted.push(['userAgent', agent])
      return ({ userAgent }) => userAgent === agent
    }
    const { path } = request(0).sample
    planted.push(['path', path])
    return sample => sample.path === path
  }
  const hits: ((sample: SampledRequest, release: string) => boolean)[] = []
  if (cause === 'mixture') hits.push(plant(pick(['target', 'consumer'])), plant(pick(['path', 'client'])))
  else if (cause !== 'none') hits.push(plant(cause === 'slow dependency' ? 'path' : cause))

  const onsetMs = START_MS + 10 * SLOT_MS + Math.floor(random() * SLOT_MS)
  // How often the cause strikes: from two failures for each one at random, up to every request.
  const trial = Array.from({ length: 2_000 }, () => request(onsetMs))
  const shareHit = hits.map(hit => trial.filter(({ sample, release }) => hit(sample, release)).length / trial.length)
  const leastStrikes = shareHit.map(share => (2 * background) / Math.max(share, 0.000_1))
  // Where even a total failure of so few requests would be less than that, it is no case.
  const isPossible = leastStrikes.every(least => least < 1) && shareHit.every(share => share < MOST_HIT)
  const strikes = leastStrikes.map(least => (random() < 0.25 ? 1 : Math.exp(between(Math.log(Math.min(1, least)), 0))))
  // Without a cause: now and then everything fails, of all the same.
  const outage = cause === 'none' && random() < 0.6 ? Math.exp(between(Math.log(0.03), 0)) : 0

  const wanted = Math.floor(Math.exp(between(Math.log(30), Math.log(400))))
  const perSlot = Math.floor(Math.exp(between(Math.log(60), Math.log(3_000))))
  const groups = new Map<
    string,
    { startMs: number; kind: string; instance: string; reservoir: Reservoir<SampledRequest> }
  >()
  const note = (kind: string, instance: string, sample: SampledRequest): void => {
    const startMs = sample.timeMs - (sample.timeMs % SLOT_MS)
    const key = `${startMs} ${kind} ${instance}`
    let group = groups.get(key)
    if (group === undefined) {
      groups.set(key, (group = { startMs, kind, instance, reservoir: new Reservoir(50, random) }))
    }
    const index = group.reservoir.next()
    if (index !== -1) group.reservoir.put(index, sample)
  }

  let failed = 0
  // Twenty slots at most: ten before the onset, and those in which failures are collected.
  for (let i = 0; i < perSlot * 30 && failed < wanted; i++) {
    const timeMs = START_MS + Math.floor((i / perSlot) * SLOT_MS)
    const { sample, release } = request(timeMs)
    const isBad = timeMs >= onsetMs
    const fails = (asked: SampledRequest, itsRelease: string): boolean =>
      random() < background ||
      (isBad &&
        (random() < outage || hits.some((hit, index) => hit(asked, itsRelease) && random() < (strikes[index] ?? 0))))
    const instance = pick(instances)
    const isFailed = fails(sample, release)
    const known = { ...sample, release }
    if (!isFailed) {
      note('good', instance, known)
      continue
    }
    if (isSlow) note('slow', instance, { ...known, durationMs: 2_000 })
    else if (hasRetries && targets.length > 1 && IDEMPOTENT.has(sample.method)) {
      const other = pick(targets.filter(target => target !== sample.target))
      const isAgain = fails({ ...sample, target: other }, newOn.has(other) ? '1.4.2' : '1.4.1')
      if (!isAgain) {
        note('recovered', instance, { ...known, attempts: 2 })
        continue
      }
      note('fault', instance, { ...known, attempts: 2, status: 502, reason: 'reset' })
    } else note('fault', instance, { ...known, status: 502, reason: 'reset' })
    if (isBad) failed++
  }
  const replicas = instances.map(instance => ({
    instance,
    groups: [...groups.values()]
      .filter(group => group.instance === instance)
      .map(({ startMs, kind, reservoir: { seen, items } }): SampledGroup => {
        return { startMs, route: '/shop', kind, seen, weight: seen / items.length, samples: items }
      }),
  }))
  const detail = `${planted.map(([name, value]) => `${name}=${value}`).join(' ')} hit ${shareHit.map(percent).join('/')} strikes ${strikes.map(percent).join('/')} background ${percent(background)} outage ${percent(outage)} retries ${hasRetries} staying ${staying.toFixed(2)} batch ${batch.share.toFixed(2)} failed ${failed} perSlot ${perSlot}`
  if (!isPossible) failed = 0
  return {
    cause,
    planted,
    family: isSlow ? 'latency' : 'faults',
    replicas,
    lookFromMs: onsetMs - Math.floor(between(0, 4) * 60_000),
    failed,
    detail,
  }
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`
}
