import assert from 'node:assert/strict'
import { join } from 'node:path'
import { sampleValue } from '../support/exposition'
import { needs } from '../support/needs'
import { openTrace, scrape } from '../support/ops-port'
import { launchGateway, startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const SERVER = 2
const CLIENT = 3
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN_ID = '00f067aa0ba902b7'
/** Compiled, this file is dist/test/signals/instrumented.test.js. */
const UNKNOWN_IOREDIS = { NODE_OPTIONS: `--require ${join(__dirname, '../fixtures/unknown-ioredis.js')}` }

describe('the instrumentation of the built gateway', () => {
  before(needs('redis-server'))

  let redis: RunningRedis
  let upstream: RunningUpstream
  let config: string
  let gateway: RunningGateway | undefined

  before(async () => {
    redis = await startRedis()
    upstream = await startUpstream()
    config = JSON.stringify({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [
        { name: 'orders', match: { path: '/orders/:id' }, upstream: 'app', rateLimit: { limit: 100, window: '1m' } },
      ],
    })
  })

  after(async () => {
    await upstream?.stop()
    await redis?.stop()
  })

  afterEach(async () => {
    await gateway?.kill()
    gateway = undefined
  })

  async function start(env: NodeJS.ProcessEnv): Promise<RunningGateway> {
    gateway = await startGateway({ config, env: { REDIS_URL: redis.url, ...env } })
    await gateway.process.waitForLog('Redis', entry => entry['event'] === 'redis_available')
    return gateway
  }

  async function send({ url }: RunningGateway): Promise<void> {
    const traceparent = `00-${TRACE_ID}-${SPAN_ID}-01`
    const response = await fetch(`${url}/orders/17`, { headers: { traceparent } })
    assert.equal(response.status, 200)
    await response.text()
  }

  for (const mode of ['own', 'stock']) {
    it(`traces a request from the client to Redis and the upstream, in one trace (${mode})`, async () => {
      const running = await start({ TELEMETRY_HTTP_INSTRUMENTATION: mode })
      await send(running)
      const spans = await until(() => openTrace(running.opsUrl, TRACE_ID), { what: 'the trace' })
      const server = spans.find(({ kind }) => kind === SERVER)
      const toRedis = spans.find(({ attributes }) => attributes['db.system.name'] === 'redis')
      const toUpstream = spans.find(({ kind, attributes }) => kind === CLIENT && attributes['url.full'] !== undefined)
      assert.equal(spans.length, 3, spans.map(({ name }) => name).join(', '))
      assert.deepEqual([server?.name, server?.parentSpanId], ['GET /orders/:id', SPAN_ID])
      assert.equal(server?.attributes['http.route'], '/orders/:id')
      assert.equal(toRedis?.parentSpanId, server.spanId)
      assert.equal(toUpstream?.parentSpanId, server.spanId)
      const received = upstream.requests.at(-1)?.headers['traceparent']
      assert.equal(received, `00-${TRACE_ID}-${toUpstream.spanId}-01`, 'the upstream continues the CLIENT span')
    })

    it(`reports every module as instrumented (${mode})`, async () => {
      const { opsUrl } = await start({ TELEMETRY_HTTP_INSTRUMENTATION: mode, TELEMETRY_REQUIRED: 'true' })
      const { samples } = (await scrape(opsUrl)).get('gateway_telemetry_instrumented')!
      const modules = mode === 'own' ? ['ioredis'] : ['express', 'http', 'ioredis', 'undici']
      assert.deepEqual(
        samples.map(({ labels, value }) => `${labels['module']} ${value}`).sort((a, b) => a.localeCompare(b)),
        modules.map(name => `${name} 1`),
      )
    })
  }

  it('reports a module that sends no signals in the log and as a gauge', async () => {
    const running = await start(UNKNOWN_IOREDIS)
    const said = running.logs.find(entry => Array.isArray(entry['modules']))
    assert.deepEqual([said?.['level'], said?.['modules']], ['error', ['ioredis']])
    assert.equal(sampleValue(await scrape(running.opsUrl), 'gateway_telemetry_instrumented', { module: 'ioredis' }), 0)
    await send(running)
    const spans = await until(() => openTrace(running.opsUrl, TRACE_ID), { what: 'the trace' })
    const ofRedis = spans.filter(({ attributes }) => attributes['db.system.name'] !== undefined)
    assert.deepEqual(ofRedis, [], 'what it says is true')
  })

  it('finds modules that another module has loaded before', async () => {
    const { opsUrl } = await start({ NODE_OPTIONS: '--require ioredis', TELEMETRY_REQUIRED: 'true' })
    assert.equal(sampleValue(await scrape(opsUrl), 'gateway_telemetry_instrumented', { module: 'ioredis' }), 1)
  })

  for (const [what, env, said] of [
    [
      'a module is not instrumented',
      { ...UNKNOWN_IOREDIS, REDIS_URL: 'redis://127.0.0.1:1' },
      /TELEMETRY_REQUIRED is set and not instrumented: ioredis/,
    ],
    ['telemetry is off', { OTEL_SDK_DISABLED: 'true' }, /TELEMETRY_REQUIRED is set and telemetry is off/],
  ] as const) {
    it(`keeps the gateway from starting when it is required and ${what}`, async () => {
      const { child } = launchGateway({ config, env: { TELEMETRY_REQUIRED: 'true', ...env } })
      assert.deepEqual(await child.exited, { code: 78, signal: null })
      assert.match(child.lines.join('\n'), said)
      assert.ok(!child.logs.some(entry => entry['event'] === 'listening'))
    })
  }
})
