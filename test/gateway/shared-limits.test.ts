import assert from 'node:assert/strict'
import { parseExposition, sampleValue, type ExposedFamily } from '../support/exposition'
import { needs } from '../support/needs'
import { problemOf, send, type Answer } from '../support/send'
import { proxyTo } from '../support/start-pipeline'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

interface Offenders {
  readonly route: string
  readonly policy: string
  readonly limited: number
  readonly offenders: readonly { readonly client: string }[]
}

const DECISIONS = 'gateway_rate_limiting_requests_total'

async function metricsOf({ opsUrl }: RunningGateway): Promise<Map<string, ExposedFamily>> {
  return parseExposition(await (await fetch(`${opsUrl}/metrics`)).text(), 'text')
}

describe('two gateways with one Redis', () => {
  let upstream: RunningUpstream
  let redis: RunningRedis
  let gateways: readonly RunningGateway[] = []

  before(needs('redis-server'))
  beforeEach(async () => {
    upstream = await startUpstream()
    redis = await startRedis()
  })
  afterEach(async () => {
    await Promise.all(gateways.map(gateway => gateway.stop()))
    await redis.kill()
    await upstream.stop()
  })

  async function startTwo(limit: number, more: object = {}, others: readonly object[] = []): Promise<void> {
    const policy = { limit, window: '10m', ...more }
    const rateLimit = others.length === 0 ? policy : [{ name: 'default', ...policy }, ...others]
    const config = JSON.stringify(proxyTo(upstream.url, { route: { rateLimit } }))
    const env = { REDIS_URL: redis.url, REPLICAS: '2' }
    gateways = await Promise.all([startGateway({ config, env }), startGateway({ config, env })])
  }

  /** Sends from this number of clients at once, spread over both gateways, each with sequential requests. */
  async function load(clients: number, requestsEach: number): Promise<Answer[]> {
    const client = async (_: unknown, index: number): Promise<Answer[]> => {
      const answers = []
      for (let i = 0; i < requestsEach; i++) answers.push(await send(gateways[(index + i) % 2]!.port, '/app'))
      return answers
    }
    return (await Promise.all(Array.from({ length: clients }, client))).flat()
  }
  const withStatus = (answers: readonly Answer[], status: number): number =>
    answers.filter(answer => answer.status === status).length

  async function decisions(result: string, store: string): Promise<number> {
    const labels = { http_route: '/app', gateway_rate_limiting_result: result, gateway_rate_limiting_store: store }
    const values = await Promise.all(
      gateways.map(async gateway => sampleValue(await metricsOf(gateway), DECISIONS, labels)),
    )
    return values.reduce<number>((sum, value) => sum + (value ?? Number.NaN), 0)
  }

  it('admit exactly the limit for 50 concurrent clients, and count where each was decided', async () => {
    await startTwo(100)
    const answers = await load(50, 6)
    assert.equal(withStatus(answers, 200), 100)
    assert.equal(withStatus(answers, 429), 200)
    assert.equal(upstream.requests.length, 100)
    assert.equal(await decisions('allowed', 'redis'), 100)
    assert.equal(await decisions('limited', 'redis'), 200)
    assert.equal(await decisions('allowed', 'local'), 0)
    assert.equal(await decisions('limited', 'local'), 0)
    for (const gateway of gateways) {
      assert.equal(sampleValue(await metricsOf(gateway), 'gateway_rate_limiting_degraded'), 0)
    }
  })

  it('admit exactly the limit with gcra, and with several policies', async () => {
    const wide = { name: 'wide', limit: 130, window: '1d' }
    await startTwo(100, { window: '1d', algorithm: 'gcra' }, [wide])
    const answers = await load(50, 6)
    assert.equal(withStatus(answers, 200), 100)
    assert.equal(withStatus(answers, 429), 200)
    assert.equal(upstream.requests.length, 100)
  })

  it('list limited clients on their ops ports', async () => {
    await startTwo(10, { offenders: 'clear' })
    await load(10, 4)
    const lists = await Promise.all(
      gateways.map(
        async ({ opsUrl }) => (await (await fetch(`${opsUrl}/offenders`)).json()) as { policies: Offenders[] },
      ),
    )
    const offenders = lists.flatMap(({ policies }) => policies)
    assert.equal(offenders.length, 2)
    assert.equal(
      offenders.reduce((sum, { limited }) => sum + limited, 0),
      30,
    )
    for (const { route, policy, offenders: clients } of offenders) {
      assert.deepEqual([route, policy, clients.map(({ client }) => client)], ['app', 'default', ['127.0.0.1']])
    }
  })

  it('each enforce half the limit while Redis is unavailable, and report it', async () => {
    await startTwo(100)
    await redis.kill()
    const answers = await load(50, 6)
    assert.equal(withStatus(answers, 200), 100)
    assert.equal(withStatus(answers, 429), 200)
    assert.equal(await decisions('allowed', 'local'), 100)
    assert.equal(await decisions('limited', 'local'), 200)
    for (const gateway of gateways) {
      assert.equal(sampleValue(await metricsOf(gateway), 'gateway_rate_limiting_degraded'), 1)
      assert.equal(gateway.logs.filter(entry => entry['event'] === 'redis_unavailable').length, 1)
    }
  })

  it('answer no request with 5xx while Redis is killed and restarted under load', async () => {
    await startTwo(1_000_000)
    const answers: Answer[] = []
    const over = new AbortController()
    const loads = Array.from({ length: 8 }, async (_, index) => {
      while (!over.signal.aborted) answers.push(await send(gateways[index % 2]!.port, '/app'))
    })
    const outages = async (): Promise<void> => {
      for (let i = 0; i < 2; i++) {
        await redis.kill()
        await until(() => gateways.every(({ logs }) => count(logs, 'redis_unavailable') > i), { what: 'it is noticed' })
        await redis.startAgain()
        await until(() => gateways.every(({ logs }) => count(logs, 'redis_available') > i + 1), { what: 'it is back' })
      }
    }
    await outages().finally(() => over.abort())
    await Promise.all(loads)
    assert.ok(answers.length > 10, `${answers.length} requests`)
    assert.equal(withStatus(answers, 200), answers.length)
  })

  it('refuse with a message that both people and programs can read', async () => {
    await startTwo(1)
    const [first, second] = [await send(gateways[0]!.port, '/app'), await send(gateways[1]!.port, '/app')]
    assert.deepEqual([first.status, second.status], [200, 429])
    const { trace_id: traceId, ...problem } = problemOf(second)
    assert.match(String(traceId), /^[0-9a-f]{32}$/)
    assert.deepEqual(problem, {
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      title: 'Too many requests',
      status: 429,
      'violated-policies': ['default'],
      outcome: 'refusal',
      reason: 'limited',
    })
  })
})

function count(logs: readonly Readonly<Record<string, unknown>>[], event: string): number {
  return logs.filter(entry => entry['event'] === event).length
}
