import assert from 'node:assert/strict'
import { sampleValue, type ExposedFamily } from '../support/exposition'
import { needs } from '../support/needs'
import { scrape } from '../support/ops-port'
import { OtlpReceiver } from '../support/otlp-receiver'
import { send } from '../support/send'
import { proxyTo } from '../support/start-pipeline'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('signals of the connection to Redis', function () {
  this.timeout(60_000)
  let upstream: RunningUpstream
  let redis: RunningRedis
  let receiver: OtlpReceiver
  let gateway: RunningGateway

  before(needs('redis-server'))
  beforeEach(async () => {
    upstream = await startUpstream()
    redis = await startRedis()
    receiver = await OtlpReceiver.start()
    const rateLimit = [
      { name: 'plain', limit: 1_000, window: '1h' },
      { name: 'tenant', limit: 1_000, window: '1h', key: 'header:x-tenant', cost: 2 },
    ]
    gateway = await startGateway({
      config: JSON.stringify(proxyTo(upstream.url, { route: { rateLimit } })),
      env: {
        REDIS_URL: redis.url,
        OTEL_TRACES_EXPORTER: 'otlp',
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl,
        OTEL_BSP_SCHEDULE_DELAY: '50',
      },
    })
    await told('redis_available', 1)
  })
  afterEach(async () => {
    await gateway.stop()
    await receiver.stop()
    redis.thaw()
    await redis.kill()
    await upstream.stop()
  })

  const told = (event: string, times: number): Promise<unknown> =>
    until(() => gateway.logs.filter(entry => entry['event'] === event).length >= times, { what: `${times} ${event}` })
  const ask = async (): Promise<void> => assert.equal((await send(gateway.port, '/app')).status, 200)
  const families = (): Promise<Map<string, ExposedFamily>> => scrape(gateway.opsUrl)

  it('are spans under the request; probes, script loads and counts written back leave no signals', async () => {
    await ask()
    redis.freeze()
    await ask()
    await told('redis_unavailable', 1)
    await ask()
    redis.thaw()
    await told('redis_available', 2)
    await ask()
    await until(() => receiver.spans.filter(({ kind }) => kind === 2).length === 4, { what: 'four requests' })
    await until(() => commands().length >= 6, { what: 'the commands of three requests' })
    const servers = new Map(receiver.spans.filter(({ kind }) => kind === 2).map(span => [span.spanId, span]))
    for (const { name, traceId, parentSpanId } of commands()) {
      assert.match(name, /^eval(sha)?$/i)
      assert.equal(traceId, servers.get(parentSpanId ?? '')?.traceId)
    }
    assert.equal(commands().length, 6, 'two for each request that asked')
    const duration = (await families()).get('db_client_operation_duration_seconds')
    const operations = new Set(duration?.samples.map(({ labels }) => labels['db_operation_name']))
    assert.ok(
      [...operations].every(name => /^eval(sha)?$/.test(name ?? '')),
      [...operations].join(' '),
    )
  })

  const commands = (): typeof receiver.spans => receiver.spans.filter(({ attributes }) => attributes['db.system.name'])

  it('count errors, outages and reconnects, and show whether it is connected', async () => {
    const valueOf = async (name: string, labels: Record<string, string> = {}): Promise<number | undefined> =>
      sampleValue(await families(), name, labels)
    const pool = { db_client_connection_pool_name: `127.0.0.1:${redis.port}` }
    const connected = async (): Promise<number[]> => {
      const samples = (await families()).get('db_client_connection_count')?.samples ?? []
      assert.ok(samples.every(({ labels }) => labels['db_client_connection_pool_name'] === Object.values(pool)[0]))
      return samples.map(({ value }) => value)
    }
    await ask()
    assert.deepEqual(await connected(), [0, 1], 'used and idle')
    for (const counter of ['errors', 'outages']) {
      for (const type of ['timeout', 'connection', 'OOM', 'READONLY']) {
        assert.equal(await valueOf(`gateway_redis_${counter}_total`, { error_type: type }), 0, 'born with 0')
      }
    }
    redis.freeze()
    await ask()
    redis.thaw()
    await told('redis_available', 2)
    assert.equal(await valueOf('gateway_redis_errors_total', { error_type: 'timeout' }), 2, 'one of each policy group')
    assert.equal(await valueOf('gateway_redis_outages_total', { error_type: 'timeout' }), 1)
    assert.equal(await valueOf('gateway_redis_reconnects_total'), 0)
    await redis.kill()
    await told('redis_unavailable', 2)
    assert.equal(await valueOf('gateway_redis_outages_total', { error_type: 'connection' }), 1)
    assert.deepEqual(await connected(), [0, 0])
    await redis.startAgain()
    await told('redis_available', 3)
    assert.equal(await valueOf('gateway_redis_reconnects_total'), 1)
    assert.equal(await valueOf('gateway_redis_errors_total', { error_type: 'connection' }), 0, 'no request had asked')
  })
})
