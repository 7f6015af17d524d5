import assert from 'node:assert/strict'
import { freePort } from '../support/free-port'
import { needs } from '../support/needs'
import { OtlpReceiver } from '../support/otlp-receiver'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

/** The request's context is passed explicitly and is not the active one: code that needs an active context must set it. */
describe('the trace of a request', function () {
  this.timeout(60_000)
  before(needs('redis-server'))

  let redis: RunningRedis
  let upstream: RunningUpstream
  let receiver: OtlpReceiver
  let gateway: RunningGateway

  before(async () => {
    redis = await startRedis()
    upstream = await startUpstream()
    receiver = await OtlpReceiver.start()
    gateway = await startGateway({
      config: JSON.stringify({
        upstreams: {
          app: { targets: [upstream.url] },
          gone: { targets: [`http://127.0.0.1:${await freePort()}`] },
        },
        routes: [
          { name: 'app', match: { path: '/app' }, upstream: 'app', rateLimit: { limit: 1000, window: '1m' } },
          { name: 'gone', match: { path: '/gone' }, upstream: 'gone' },
        ],
      }),
      env: {
        REDIS_URL: redis.url,
        OTEL_TRACES_EXPORTER: 'otlp',
        OTEL_LOGS_EXPORTER: 'otlp',
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl,
        OTEL_BSP_SCHEDULE_DELAY: '50',
        OTEL_BLRP_SCHEDULE_DELAY: '50',
      },
    })
  })

  after(async () => {
    await gateway?.kill()
    await receiver?.stop()
    await upstream?.stop()
    await redis?.stop()
  })

  for (const [path, body] of [
    ['/app', 'request'],
    ['/gone', 'request failed'],
  ] as const) {
    it(`is on the log lines "${body}", on standard output and over OTLP`, async () => {
      await (await fetch(gateway.url + path)).text()
      const line = await gateway.process.waitForLog('the line', entry => entry['path'] === path)
      const record = await until(() => receiver.logs.find(({ attributes }) => attributes['path'] === path), {
        what: 'the record',
      })
      const server = await until(
        () => receiver.spans.find(span => span.kind === 2 && span.attributes['url.path'] === path),
        { what: 'the span' },
      )
      assert.deepEqual([line['msg'], record.body], [body, body])
      assert.deepEqual([line['trace_id'], line['span_id']], [server.traceId, server.spanId])
      assert.equal(record.traceId, server.traceId)
    })
  }

  it('has the Redis command and the upstream call as children of the request span', async () => {
    await (await fetch(`${gateway.url}/app`)).text()
    const server = await until(
      () => receiver.spans.find(span => span.kind === 2 && span.attributes['url.path'] === '/app'),
      { what: 'the SERVER span' },
    )
    const children = await until(
      () => {
        const found = receiver.spans.filter(span => span.parentSpanId === server.spanId)
        return found.length >= 2 ? found : undefined
      },
      { what: 'its children' },
    )
    assert.ok(children.every(({ traceId }) => traceId === server.traceId))
    assert.ok(children.some(({ attributes }) => attributes['db.system.name'] === 'redis'))
    assert.ok(children.some(({ attributes }) => attributes['gateway.upstream.name'] === 'app'))
  })
})
