import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { askPrometheus } from '../support/ask-prometheus'
import { askRedis } from '../support/ask-redis'
import { parseExposition, type Sample } from '../support/exposition'
import { balanceLoad, type BalancedLoad } from '../support/load-balancer'
import { needs } from '../support/needs'
import { needsCollector } from '../support/needs-collector'
import { send, type Answer } from '../support/send'
import { runProcess } from '../support/start-process'
import { until } from '../support/until'
import { REPLICAS, shardOf, startFleet, untilClusterIsWhole, type Fleet } from './fleet/fleet'
import { createNetwork, removeLeftovers, type Network } from './fleet/network'
import { INCIDENTS_TOKEN, OPS_TOKEN, type Gateway, type RedisNode } from './fleet/programs'
import { clockAhead } from './fleet/shifted-clock'

/** Limit of the routes /window and /several, and what one replica allows of it without Redis. */
const LIMIT = 60
const SHARE = LIMIT / REPLICAS
const WAIT = { timeoutMs: 60_000, intervalMs: 100 }

/** A small fleet on one machine: every program in a network namespace of its own. */
describe('a fleet of three gateways', function () {
  this.timeout(180_000)
  let network: Network | undefined
  let fleet: Fleet
  let clients = 0
  let running: BalancedLoad | undefined
  /** What was seen, for the table of docs/scaling.md. */
  const seen: string[] = []

  before(needs('redis-server', 'redis-cli', 'prometheus'))
  before(needsCollector())
  before(async () => {
    network = createNetwork()
    fleet = await startFleet(network)
    fleet.discover(fleet.gateways)
  })
  afterEach(async () => {
    // Only a case that failed has left it running.
    await running?.stop().catch(() => {})
    running = undefined
  })
  after(() => {
    network?.remove()
    process.stdout.write(seen.map(line => `      ${line}\n`).join(''))
  })

  it('has its network removed by the next run if this one is killed', async () => {
    const gone = await runProcess({ name: 'true', path: 'true', args: [] })
    const left = `mygw${gone.pid!.toString(36)}-left`
    const ip = async (...args: string[]): Promise<string> =>
      (await runProcess({ name: 'ip', path: 'ip', args })).lines.join('\n')
    await ip('netns', 'add', left)
    assert.match(await ip('netns', 'list'), new RegExp(left))
    removeLeftovers()
    assert.doesNotMatch(await ip('netns', 'list'), new RegExp(left))
    assert.match(await ip('netns', 'list'), new RegExp(`mygw${process.pid.toString(36)}-gw1`), 'this run goes on')
  })

  it('admits exactly the limit of a client, whichever replicas its requests come to', async () => {
    await untilShared()
    for (const path of ['/window', '/several']) {
      for (let round = 0; round < 5; round++) await assertExact(path)
    }
    seen.push(`10 clients, ${LIMIT * 2} requests each at once to all replicas: ${LIMIT} admitted each`)
  })

  it('keeps a trace whole that crosses two replicas, although their spans go through different agents', async () => {
    const traces = Array.from({ length: 12 }, () => newTrace())
    // The first replica reports to the first agent, and asks the second one, which reports to the other.
    for (const { headers } of traces) {
      assert.equal((await ask(fleet.gateways[0], '/via/2', newClient(), headers)).status, 503)
    }
    const shares = await untilWhole(traces.map(({ id }) => id))
    assert.ok(
      shares.every(share => share > 0),
      'each sampling Collector has a share',
    )
    seen.push(`12 traces of 4 spans, ${shares.join(' and ')} of them at the two sampling Collectors`)
  })

  it('is found by Prometheus and asked by the incident service, replica by replica', async () => {
    const { prometheusUrl, gateways } = fleet
    fleet.discover(gateways.slice(0, 1))
    await untilDiscovered(1)
    const startedAt = performance.now()
    fleet.discover(gateways)
    await untilDiscovered(REPLICAS)
    const discoveredIn = secondsSince(startedAt)

    const incident = await untilIncidentWithTraces('/broken', gateways)
    for (const gateway of gateways) {
      const traceId = await exemplarOf(prometheusUrl, gateway)
      const opened = await fetch(`${gateway.opsUrl}/traces/${traceId}`, { headers: bearer(OPS_TOKEN) })
      assert.equal(opened.status, 200, `${gateway.name} kept the trace of its exemplar`)
    }
    seen.push(
      `three targets after ${discoveredIn} s; ${incident.traces} traces of an incident, from all three replicas`,
    )
  })

  it('sets off an alert while one replica runs another configuration', async () => {
    const { prometheusUrl, gateways, config } = fleet
    const [, , changed] = gateways
    const isFiring = async (): Promise<boolean> =>
      (await askPrometheus(prometheusUrl, 'ALERTS{alertname="GatewayConfigurationsDiffer",alertstate="firing"}'))
        .length > 0
    assert.equal(await isFiring(), false)
    const startedAt = performance.now()
    const { routes, ...rest } = JSON.parse(config) as { routes: object[] }
    writeFileSync(
      changed.configFile,
      JSON.stringify({ ...rest, routes: [...routes, { ...routes[1], name: 'more', match: { path: '/more' } }] }),
    )
    await until(isFiring, { what: 'the alert fires', ...WAIT })
    const firedAfter = secondsSince(startedAt)
    writeFileSync(changed.configFile, config)
    await until(async () => !(await isFiring()), { what: 'the alert ends', ...WAIT })
    seen.push(
      `fired after ${firedAfter} s (with durations 25 times shorter), ended ${secondsSince(startedAt, firedAfter)} s later`,
    )
  })

  it('serves on with its share of the limits when a replica is cut off from Redis and the others, and returns', async () => {
    const { gateways, machines } = fleet
    const [one, two, three] = gateways
    await untilShared()
    const client = newClient()
    const scouts = await onePerShard()
    machines[1].cut('back')
    const cutAt = performance.now()
    // Requests in flight when the link goes down may be counted twice: Redis may get them after it has healed.
    const first = await Promise.all(scouts.map(async other => ask(two, '/window', other)))
    for (const answer of first) assert.deepEqual([answer.status, isLocal(answer)], [200, true])
    const detected = Math.max(...first.map(({ ms }) => ms))
    const answers = await askAll('/window', client, LIMIT, [two])
    const slowest = Math.max(...answers.map(({ ms }) => ms))
    assert.deepEqual(countsOf(answers), { 200: SHARE, 429: LIMIT - SHARE })
    assert.ok(answers.every(isLocal), 'each response says so')
    assert.equal(await isDegraded(two), true)
    const causes = (await samples(two, 'gateway_redis_unavailable')).filter(({ value }) => value === 1)
    assert.equal(causes.length, 1, 'with its cause')
    const [prometheus] = await until(
      async () => {
        const down = await askPrometheus(fleet.prometheusUrl, 'up{job="myesi-api"} == 0')
        return down.length > 0 && down
      },
      { what: 'Prometheus sees that a replica is gone', ...WAIT },
    )
    assert.equal(prometheus?.metric['instance'], two.instance)
    for (const path of ['/window', '/several']) await assertExact(path, [one, three])

    machines[1].heal('back')
    const healedAt = performance.now()
    await untilShared([two])
    const returnedIn = secondsSince(healedAt)
    // What the replica admitted alone counts: the client has only the rest.
    const after = await askAll('/window', client, LIMIT)
    assert.deepEqual(countsOf(after), { 200: LIMIT - SHARE, 429: SHARE })
    await untilDiscovered(REPLICAS)
    seen.push(
      `cut for ${secondsSince(cutAt, secondsSince(healedAt))} s: ${SHARE} of ${LIMIT} admitted, first answers ${Math.round(detected)} ms, the slowest later one ${Math.round(slowest)} ms, ` +
        `none failed; shared counts ${returnedIn} s after healing, ${LIMIT - SHARE} more admitted`,
    )
  })

  for (const [what, withReplica] of [
    ['and its replica takes over', true],
    ['with its replica, and starts again empty', false],
  ] as const) {
    it(`keeps limits exact for clients of other shards when a Redis shard is lost ${what}`, async () => {
      const { gateways, redis } = fleet
      const lostClient = newClient()
      const { master, replica } = await shardOf(redis, lostClient)
      const others = await clientsOutside(master)
      const dead = withReplica ? [master] : [replica, master]
      await untilShared()
      const load = (running = balanceLoad(gateways, 4, '/app'))
      await until(() => load.answers.length > 50, { what: 'a load' })

      for (const node of dead) await node.kill()
      const killedAt = performance.now()
      const lost = await askAll('/window', lostClient, LIMIT * 2)
      const areExact = async (): Promise<void> => {
        for (const client of others.splice(0, 2)) {
          await assertExact('/window', gateways, client)
          await assertExact('/several', gateways, client)
        }
      }
      const isLost = lost.every(isLocal)
      if (!withReplica) assert.ok(isLost, 'clients of the shard are counted locally')
      if (isLost) assert.deepEqual(countsOf(lost), { 200: LIMIT, 429: LIMIT }, 'each replica admits its share')
      await areExact()
      if (withReplica) await until(async () => isMasterNow(replica), { what: 'the replica takes over', ...WAIT })
      else {
        // The cluster has seen that the shard is gone, and the other shards still serve.
        await until(async () => isFailed(redis, master), { what: 'the cluster has lost the shard', ...WAIT })
        await areExact()
        assert.deepEqual(await Promise.all(gateways.map(isDegraded)), [true, true, true])
      }
      if (!withReplica) for (const node of dead.toReversed()) await node.start()
      const healedAt = performance.now()
      await untilShared()
      const returnedIn = secondsSince(withReplica ? killedAt : healedAt)
      if (isLost) {
        // The replicas have handed over what they admitted.
        assert.deepEqual(countsOf(await askAll('/window', lostClient, 6)), { 429: 6 })
      }
      await load.stop()
      assert.deepEqual(new Set(load.answers.map(({ status }) => status)), new Set([200]))
      if (withReplica) await master.start()
      await untilClusterIsWhole(redis)
      seen.push(
        `shard lost ${withReplica ? 'with a replica' : 'without one'}: ${load.answers.length} requests of a load, none failed; ` +
          `other shards exact throughout; shared again ${returnedIn} s after ${withReplica ? 'the kill' : 'its return'}`,
      )
    })
  }

  it('restarts everything under load, one program after the other, and no request fails', async () => {
    const { gateways, agents, samplers, prometheus, redis } = fleet
    await untilShared()
    const client = newClient()
    await assertExact('/window', gateways, client)
    const startedAt = performance.now()
    const load = (running = balanceLoad(gateways, 6, '/app'))
    await until(() => load.answers.length > 100, { what: 'a load' })

    for (const [index, gateway] of gateways.entries()) {
      await gateway.restart()
      await untilServes(load, index)
      await untilShared([gateway])
    }
    for (const program of [...agents, ...samplers, prometheus]) {
      await program.restart()
      await untilAnswered(load)
    }
    // Replicas first. A master hands over to its replica before it ends, as Redis' documentation advises for upgrades.
    for (const node of redis) {
      await handOver(redis, node)
      await node.restart()
      await untilClusterIsWhole(redis)
      await untilAnswered(load)
    }
    await untilShared()
    await load.stop()
    const failed = load.answers.filter(({ status, text }) => status !== 200 || text !== 'answered')
    assert.deepEqual(failed.slice(0, 3), [])
    const still = await askAll('/window', client, REPLICAS * 2)
    assert.deepEqual(countsOf(still), { 429: REPLICAS * 2 }, 'the count of the client has survived')
    const local = load.answers.filter(isLocal).length
    seen.push(
      `${load.answers.length} requests in ${secondsSince(startedAt)} s, none failed or was repeated; ${local} were counted locally`,
    )
  })

  it('keeps limits exact while the clocks of the replicas are a minute ahead and a minute behind', async () => {
    const { gateways, redis } = fleet
    const [one, two, three] = gateways
    await two.restart(await clockAhead(60))
    await three.restart(await clockAhead(-60))
    await untilShared()
    // Answers of upstreams have the date of the upstream.
    const clocks = await Promise.all(
      gateways.map(async gateway => clockOf(await ask(gateway, '/nowhere', newClient()))),
    )
    const offsets = clocks.map(clock => Math.round((clock - Date.now()) / 1_000))
    for (const [i, expected] of [0, 60, -60].entries()) assert.ok(Math.abs(offsets[i]! - expected) <= 3, offsets.join())

    for (const path of ['/window', '/several']) for (let round = 0; round < 3; round++) await assertExact(path)

    for (const path of ['/short', '/short-evenly']) {
      const client = newClient()
      const answers = await askAll(path, client, 12)
      assert.equal(answers.filter(({ status }) => status === 200).length, 6)
      const { master } = await shardOf(redis, client)
      const key = path === '/short' ? `myesi:rl:short:default:{${client}}` : undefined
      for (const gateway of gateways) {
        const refused = await ask(gateway, path, client)
        assert.equal(refused.status, 429)
        const retryAfter = Number(refused.headers['retry-after'])
        if (key === undefined) assert.ok(retryAfter >= 5 && retryAfter <= 8, `${gateway.name}: ${retryAfter} s`)
        else {
          const left = (await askRedis(master.url, async node => node.pttl(key))) / 1_000
          assert.ok(
            retryAfter >= left && retryAfter <= left + 2,
            `${gateway.name}: ${retryAfter} s, and ${left} s are left`,
          )
          // A moment by the replica's own clock, like the Date beside it.
          const reset = Number(refused.headers['x-ratelimit-reset']) - clockOf(refused) / 1_000
          assert.ok(Math.abs(reset - retryAfter) <= 2, `${gateway.name}: reset in ${reset} s`)
        }
      }
      const refusedAt = performance.now()
      const promised = Number((await ask(three, path, client)).headers['retry-after'])
      const admits = async (): Promise<boolean> => (await ask(three, path, client)).status === 200
      await until(admits, { what: 'the client is admitted again', timeoutMs: 20_000, intervalMs: 50 })
      const waited = (performance.now() - refusedAt) / 1_000
      assert.ok(Math.abs(waited - promised) <= 1.5, `promised ${promised} s, was ${waited} s`)
    }

    const traces = Array.from({ length: 6 }, () => newTrace())
    for (const { headers } of traces) await ask(one, '/via/2', newClient(), headers)
    await untilWhole(traces.map(({ id }) => id))
    const incident = await untilIncidentWithTraces('/broken-later', gateways)
    seen.push(
      `clocks at ${offsets.join(', ')} s: limits exact, Retry-After right, traces whole; ${incident.traces} traces of an incident, from all three`,
    )
    await two.restart()
    await three.restart()
  })

  function newClient(): string {
    clients++
    return `10.1.${Math.floor(clients / 250)}.${(clients % 250) + 1}`
  }

  async function ask(gateway: Gateway, path: string, client: string, headers = {}): Promise<Timed> {
    const startedAt = performance.now()
    const message = { host: gateway.host, path, headers: { 'x-forwarded-for': client, ...headers } }
    const answer = await send(gateway.port, message)
    return { ...answer, ms: performance.now() - startedAt }
  }

  /** Sends requests of one client to the replicas in turn, all at once. */
  async function askAll(
    path: string,
    client: string,
    requests: number,
    gateways: readonly Gateway[] = fleet.gateways,
  ): Promise<Timed[]> {
    return Promise.all(
      Array.from({ length: requests }, (_, index) => ask(gateways[index % gateways.length]!, path, client)),
    )
  }

  /** Asserts that a client without requests so far gets exactly the limit from these replicas together. */
  async function assertExact(
    path: string,
    gateways: readonly Gateway[] = fleet.gateways,
    client = newClient(),
  ): Promise<void> {
    const answers = await askAll(path, client, LIMIT * 2, gateways)
    assert.equal(answers.filter(isLocal).length, 0, 'all were counted in Redis')
    assert.deepEqual(countsOf(answers), { 200: LIMIT, 429: LIMIT })
  }

  /** New clients, one for each master. */
  async function onePerShard(): Promise<string[]> {
    const found = new Map<RedisNode, string>()
    for (let i = 0; i < 100 && found.size < 3; i++) {
      const client = newClient()
      found.set((await shardOf(fleet.redis, client)).master, client)
    }
    return [...found.values()]
  }

  /** New clients whose counts are not on this master. */
  async function clientsOutside(master: RedisNode): Promise<string[]> {
    const found: string[] = []
    for (let i = 0; i < 50 && found.length < 4; i++) {
      const client = newClient()
      if ((await shardOf(fleet.redis, client)).master !== master) found.push(client)
    }
    return found
  }

  /** Waits until these replicas count in Redis. */
  async function untilShared(gateways: readonly Gateway[] = fleet.gateways): Promise<void> {
    await until(async () => (await Promise.all(gateways.map(isDegraded))).every(degraded => !degraded), {
      what: 'no replica is degraded',
      ...WAIT,
    })
  }

  async function untilDiscovered(replicas: number): Promise<void> {
    const up = async (): Promise<number> =>
      (await askPrometheus(fleet.prometheusUrl, 'up{job="myesi-api"} == 1')).length
    await until(async () => (await up()) === replicas, { what: `Prometheus scrapes ${replicas} replicas`, ...WAIT })
  }

  /** Waits until the sampling Collectors have all four spans of each trace. @returns how many traces each one has */
  async function untilWhole(ids: readonly string[]): Promise<number[]> {
    const byTrace = (): Map<string, unknown[]>[] =>
      fleet.sinks.map(({ spans }) =>
        Map.groupBy(
          spans.filter(({ traceId }) => ids.includes(traceId)),
          ({ traceId }) => traceId,
        ),
      )
    const spans = (): number => byTrace().reduce((sum, traces) => sum + [...traces.values()].flat().length, 0)
    // SERVER and CLIENT span of each replica.
    await until(() => spans() >= ids.length * 4, { what: 'all spans arrive', ...WAIT })
    const kept = byTrace()
    for (const traces of kept) for (const trace of traces.values()) assert.equal(trace.length, 4)
    return kept.map(({ size }) => size)
  }

  /** Fails requests at these replicas until an incident has traces of each, opened there. */
  async function untilIncidentWithTraces(
    path: string,
    gateways: readonly Gateway[],
  ): Promise<{ readonly traces: number }> {
    const ids = new Set<string>()
    return until(
      async () => {
        for (const gateway of gateways) {
          const { id, headers } = newTrace()
          ids.add(id)
          await ask(gateway, path, newClient(), headers)
        }
        const traces = (await incidents()).flatMap(({ alerts }) =>
          alerts.flatMap(({ evidence }) => evidence?.traces ?? []),
        )
        const opened = traces.filter(({ traceId, spans }) => ids.has(traceId) && spans.length > 0)
        const sources = new Set(opened.map(({ source }) => source))
        return gateways.every(({ instance }) => sources.has(`http://${instance}`)) && { traces: opened.length }
      },
      { what: 'an incident with traces of each replica', ...WAIT },
    )
  }

  async function incidents(): Promise<Incident[]> {
    const get = async (path: string): Promise<unknown> => {
      const headers = { accept: 'application/json', ...bearer(INCIDENTS_TOKEN) }
      return (await fetch(fleet.incidentsUrl + path, { headers })).json()
    }
    const { incidents: listed } = (await get('/incidents')) as { incidents: { id: string }[] }
    return Promise.all(listed.map(async ({ id }) => (await get(`/incidents/${id}`)) as Incident))
  }
})

interface Timed extends Answer {
  readonly ms: number
}

interface Incident {
  readonly alerts: readonly {
    readonly evidence?: {
      readonly traces: readonly {
        readonly traceId: string
        readonly source?: string
        readonly spans: readonly object[]
      }[]
    }
  }[]
}

function newTrace(): { readonly id: string; readonly headers: Readonly<Record<string, string>> } {
  const id = randomBytes(16).toString('hex')
  return { id, headers: { traceparent: `00-${id}-${randomBytes(8).toString('hex')}-00` } }
}

/** The trace id of the latest exemplar of a fault at this replica. */
async function exemplarOf(prometheusUrl: string, { instance }: Gateway): Promise<string> {
  const query = `gateway_requests_total{instance="${instance}",gateway_outcome="fault"}`
  const span = { start: `${Date.now() / 1_000 - 300}`, end: `${Date.now() / 1_000}` }
  const response = await fetch(
    `${prometheusUrl}/api/v1/query_exemplars?${new URLSearchParams({ query, ...span }).toString()}`,
  )
  const { data } = (await response.json()) as { data: { exemplars: { labels: Record<string, string> }[] }[] }
  const traceId = data.flatMap(({ exemplars }) => exemplars).at(-1)?.labels['trace_id']
  assert.ok(traceId, `an exemplar of ${instance}`)
  return traceId
}

/** If the node is a master, has its replica take over first. */
async function handOver(nodes: readonly RedisNode[], node: RedisNode): Promise<void> {
  const replica = await askRedis(node.url, async client => {
    const [role, , replicas] = (await client.call('ROLE')) as [string, unknown, [string, ...unknown[]][]]
    return role === 'master' ? nodes.find(({ host }) => host === replicas[0]?.[0]) : undefined
  })
  if (replica === undefined) return
  await askRedis(replica.url, async client => client.call('CLUSTER', 'FAILOVER'))
  await until(async () => isMasterNow(replica), { what: 'the replica has taken over', ...WAIT })
  await untilClusterIsWhole(nodes)
}

async function isMasterNow({ url }: RedisNode): Promise<boolean> {
  return askRedis(url, async client => ((await client.call('ROLE')) as [string])[0] === 'master')
}

/** Whether the cluster has agreed that a node is gone. */
async function isFailed(nodes: readonly RedisNode[], { host }: RedisNode): Promise<boolean> {
  const other = nodes.find(({ process }) => process.exit === undefined)
  const known = String(await askRedis(other!.url, async client => client.call('CLUSTER', 'NODES')))
  return known.split('\n').some(line => line.includes(`${host}:6379`) && /[ ,]fail /.test(line))
}

async function untilAnswered(load: BalancedLoad): Promise<void> {
  const before = load.answers.length
  await until(() => load.answers.length > before + 50, { what: 'the load goes on', ...WAIT })
}

async function untilServes(load: BalancedLoad, replica: number): Promise<void> {
  const served = (): number => load.answers.filter(answer => answer.replica === replica).length
  const before = served()
  await until(() => served() > before + 20, { what: `replica ${replica + 1} serves again`, ...WAIT })
}

/** The time of day at the replica. */
function clockOf({ headers }: Answer): number {
  return Date.parse(headers.date ?? '')
}

function countsOf(answers: readonly Answer[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

function isLocal({ headers }: Answer): boolean {
  return headers['x-ratelimit-degraded'] === 'local'
}

async function isDegraded(gateway: Gateway): Promise<boolean> {
  return (await samples(gateway, 'gateway_rate_limiting_degraded'))[0]?.value === 1
}

async function samples({ opsUrl }: Gateway, name: string): Promise<readonly Sample[]> {
  const response = await fetch(`${opsUrl}/metrics`, { headers: { accept: 'text/plain;version=0.0.4' } })
  return parseExposition(await response.text(), 'text').get(name)?.samples ?? []
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}

function secondsSince(startedAt: number, less = 0): number {
  return Math.round((performance.now() - startedAt) / 100 - less * 10) / 10
}
