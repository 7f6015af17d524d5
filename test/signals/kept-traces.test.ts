import assert from 'node:assert/strict'
import { freePort } from '../support/free-port'
import { listTraces, openTrace, scrape, withExemplars } from '../support/ops-port'
import { OtlpReceiver } from '../support/otlp-receiver'
import { sampleValue } from '../support/exposition'
import { sendMany } from '../support/send-many'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const SERVER = 2
const CLIENT = 3
const ONE_PERCENT = { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.01' }
const NOTHING_SAMPLED = { OTEL_TRACES_SAMPLER: 'always_off' }

/** More than a fast request takes on a busy machine, its first one included. */
const SLOW_MS = 1_000

describe('the trace recorder of a running gateway', () => {
  let upstream: RunningUpstream
  let config: string
  let gateway: RunningGateway | undefined
  let receiver: OtlpReceiver | undefined

  beforeEach(async () => {
    upstream = await startUpstream((request, response) => {
      if (request.url === '/slow') setTimeout(() => response.end('slow'), SLOW_MS + 50)
      else if (request.url === '/silent') void response
      else if (request.url === '/events') {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
        setTimeout(() => response.end('data: 2\n\n'), SLOW_MS + 50)
      } else if (request.url === '/503') response.writeHead(503).end('no')
      else response.end('fine')
    })
    const nobody = await freePort()
    config = JSON.stringify({
      upstreams: {
        app: { targets: [upstream.url], timeouts: { response: `${2 * SLOW_MS}ms` } },
        gone: { targets: [`http://127.0.0.1:${nobody}`] },
      },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app', rewrite: { stripPrefix: '/app' } },
        { name: 'gone', match: { path: '/gone' }, upstream: 'gone' },
        {
          name: 'limited',
          match: { path: '/limited' },
          upstream: 'app',
          rateLimit: { limit: 2, window: '1m' },
        },
      ],
    })
  })

  afterEach(async () => {
    await gateway?.kill()
    await receiver?.stop()
    gateway = receiver = undefined
    await upstream.stop()
  })

  async function start(env: NodeJS.ProcessEnv): Promise<RunningGateway> {
    return (gateway = await startGateway({ config, env }))
  }

  it('keeps all of ten failed requests among a thousand good ones, at 1 % sampling, with exemplars', async () => {
    const { url, opsUrl } = await start(ONE_PERCENT)
    const statuses = await sendMany(url, 1_010, index => ({ path: index % 101 === 0 ? '/gone/x' : '/app/x' }))
    assert.deepEqual(Object.fromEntries(statuses), { 200: 1_000, 502: 10 })
    const failed = await listTraces(opsUrl, 'outcome=fault')
    assert.equal(failed.length, 10)
    assert.ok(
      failed.every(trace => trace.reason === 'connect_refused' && trace.route === '/gone' && trace.status === 502),
    )
    const good = await listTraces(opsUrl, 'outcome=ok')
    assert.ok(good.length <= 60, `${good.length} good ones of 1000 at 1 %`)
    const exemplars = withExemplars(await scrape(opsUrl))
    assert.ok(
      exemplars.some(
        ({ name, labels }) => name === 'gateway_requests_total' && labels['gateway_reason'] === 'connect_refused',
      ),
    )
    for (const { exemplar } of exemplars) assert.ok(await openTrace(opsUrl, exemplar.labels['trace_id']!))
  })

  it('records what happened in the SERVER and CLIENT span', async () => {
    const { url, opsUrl } = await start(NOTHING_SAMPLED)
    const answer = (await (await fetch(`${url}/gone/away?token=secret`)).json()) as { trace_id: string }
    const spans = await until(() => openTrace(opsUrl, answer.trace_id), { what: 'the trace' })
    const [server, client] = [SERVER, CLIENT].map(kind => spans.find(span => span.kind === kind))
    assert.equal(spans.length, 2)
    assert.equal(server?.name, 'GET /gone')
    assert.equal(server.attributes['gateway.reason'], 'connect_refused')
    assert.equal(server.attributes['error.type'], 'connect_refused')
    assert.deepEqual(server.status, { code: 2, message: 'The upstream refused the connection' })
    assert.equal(client?.parentSpanId, server.spanId)
    assert.equal(client.attributes['error.type'], 'connect_refused')
    assert.match(String(client.events[0]?.attributes['exception.message']), /ECONNREFUSED/)
    assert.doesNotMatch(JSON.stringify(spans), /secret/)
  })

  it('keeps slow, limited, timed out and 5xx exchanges, but not long streams', async () => {
    const { url, opsUrl } = await start({ ...NOTHING_SAMPLED, TRACES_SLOW_MS: String(SLOW_MS) })
    for (const path of ['/app/fast', '/app/slow', '/app/events', '/app/503', '/app/silent', '/nowhere']) {
      await (await fetch(`${url}${path}`)).text()
    }
    for (let i = 0; i < 3; i++) await (await fetch(`${url}/limited`)).text()
    await until(async () => (await listTraces(opsUrl)).length >= 4, { what: 'four traces' })
    const kept = (await listTraces(opsUrl)).map(({ path, cause, reason, status }) => [path, cause, reason, status])
    assert.deepEqual(
      kept.sort((a, b) => String(a).localeCompare(String(b))),
      [
        ['/app/503', 'fault', 'upstream_5xx', 503],
        ['/app/silent', 'fault', 'response_timeout', 504],
        ['/app/slow', 'slow', undefined, 200],
        ['/limited', 'limited', 'limited', 429],
      ],
    )
  })

  it('exports kept traces over OTLP although nothing was sampled, and no good ones', async () => {
    const { httpUrl, spans } = (receiver = await OtlpReceiver.start())
    const { url } = await start({
      ...NOTHING_SAMPLED,
      OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl,
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_BSP_SCHEDULE_DELAY: '50',
    })
    await sendMany(url, 50, () => ({ path: '/app/x' }))
    await (await fetch(`${url}/app/503`)).text()
    await until(() => spans.length >= 2, { what: 'two spans' })
    await sendMany(url, 50, () => ({ path: '/app/x' }))
    await (await fetch(`${url}/gone`)).text()
    await until(() => spans.length >= 4, { what: 'two more' })
    assert.deepEqual(spans.map(span => span.name).sort(), ['GET', 'GET', 'GET /app', 'GET /gone'])
    const told = upstream.requests.find(request => request.url === '/503')?.headers['traceparent']
    assert.match(String(told), /^00-[0-9a-f]{32}-[0-9a-f]{16}-02$/, 'the upstream was told that it is not sampled')
  })

  it('keeps every trace with always_on', async () => {
    const { httpUrl, spans } = (receiver = await OtlpReceiver.start())
    const { url } = await start({
      OTEL_TRACES_SAMPLER: 'always_on',
      OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl,
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_BSP_SCHEDULE_DELAY: '50',
    })
    await sendMany(url, 100, index => ({ path: index < 40 ? '/app/503' : '/app/x' }))
    await until(() => spans.length >= 200, { what: '200 spans' })
    assert.equal(new Set(spans.map(span => span.spanId)).size, 200)
  })

  it('exports its traces before the process exits', async () => {
    const { httpUrl, spans } = (receiver = await OtlpReceiver.start())
    const running = await start({
      ...NOTHING_SAMPLED,
      OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl,
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_BSP_SCHEDULE_DELAY: '600000',
    })
    await (await fetch(`${running.url}/gone`)).text()
    assert.equal(spans.length, 0)
    assert.deepEqual(await running.stop(), { code: 0, signal: null })
    assert.equal(spans.length, 2)
  })

  for (const exporters of [
    { OTEL_TRACES_EXPORTER: 'none' },
    { OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' },
    { OTEL_TRACES_EXPORTER: 'console' },
    { OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' },
    { TELEMETRY_HTTP_INSTRUMENTATION: 'stock' },
  ]) {
    const title = Object.entries(exporters).map(([name, value]) => `${name}=${value}`)
    it(`opens traces on the ops port with ${title.join(' ')}`, async () => {
      const { url, opsUrl } = await start({ ...NOTHING_SAMPLED, ...exporters })
      const answer = (await (await fetch(`${url}/gone`)).json()) as { trace_id: string }
      const spans = await until(() => openTrace(opsUrl, answer.trace_id), { what: 'the trace' })
      assert.deepEqual(
        spans.map(span => span.kind).sort((a, b) => a - b),
        [SERVER, CLIENT],
      )
      assert.equal((await listTraces(opsUrl, 'outcome=fault')).length, 1)
    })
  }

  it('holds no unfinished trace after hundreds of requests, including aborted ones', async () => {
    const { url, opsUrl } = await start({ ...ONE_PERCENT, TRACES_KEEP_PER_SECOND: '1000' })
    for (let round = 0; round < 5; round++) {
      const leaving = Array.from({ length: 20 }, async () => {
        const controller = new AbortController()
        const before = upstream.requests.length
        const request = fetch(`${url}/app/silent`, { signal: controller.signal })
        await until(() => upstream.requests.length > before, { what: 'the request at the upstream' })
        controller.abort()
        await assert.rejects(request)
      })
      await Promise.all([...leaving, sendMany(url, 50, index => ({ path: index % 2 === 0 ? '/gone' : '/app/x' }))])
    }
    const pending = async (): Promise<number | undefined> => sampleValue(await scrape(opsUrl), 'gateway_traces_pending')
    await until(async () => (await pending()) === 0, { what: 'nothing held' })
    const closed = await listTraces(opsUrl, 'outcome=client_closed')
    assert.ok(closed.length < 20, 'an abort is no fault: only sampled ones are kept')
  })
})
