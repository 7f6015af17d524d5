import assert from 'node:assert/strict'
import { freePort } from '../support/free-port'
import { listTraces, openTrace, scrape, withExemplars, type SampleWithExemplar } from '../support/ops-port'
import { sendMany } from '../support/send-many'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const DURATION = 'http_server_request_duration_seconds_bucket'
const REQUESTS = 'gateway_requests_total'
const LIMITS = 'gateway_rate_limiting_requests_total'

describe('exemplars', () => {
  let upstream: RunningUpstream
  let config: string
  let gateway: RunningGateway | undefined

  beforeEach(async () => {
    upstream = await startUpstream((request, response) => {
      const [, , status, delay] = (request.url ?? '').split('/')
      setTimeout(() => response.writeHead(Number(status ?? 200)).end(), Number(delay ?? 0))
    })
    const nobody = await freePort()
    config = JSON.stringify({
      upstreams: { app: { targets: [upstream.url] }, gone: { targets: [`http://127.0.0.1:${nobody}`] } },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app' },
        { name: 'gone', match: { path: '/gone' }, upstream: 'gone' },
        { name: 'limited', match: { path: '/limited' }, upstream: 'app', rateLimit: { limit: 1, window: '1m' } },
      ],
    })
  })

  afterEach(async () => {
    await gateway?.kill()
    gateway = undefined
    await upstream.stop()
  })

  async function start(env: NodeJS.ProcessEnv): Promise<RunningGateway> {
    return (gateway = await startGateway({ config, env: { TRACES_KEEP_PER_SECOND: '100000', ...env } }))
  }

  /** Opens the trace of an exemplar, and compares the two. */
  async function assertOpens(opsUrl: string, { name, labels, exemplar }: SampleWithExemplar): Promise<void> {
    const spans = await openTrace(opsUrl, exemplar.labels['trace_id']!)
    const span = spans?.find(({ spanId }) => spanId === exemplar.labels['span_id'])
    assert.ok(span, `${name} ${JSON.stringify(labels)} points at a request that is gone`)
    assert.equal(span.attributes['http.route'], labels['http_route'])
    if (name === REQUESTS) assert.equal(span.attributes['gateway.reason'], labels['gateway_reason'])
    if (name === DURATION) {
      assert.equal(String(span.attributes['http.response.status_code']), labels['http_response_status_code'])
      assert.ok(exemplar.value <= Number(labels['le'] === '+Inf' ? Infinity : labels['le']), 'it is of its bucket')
    }
  }

  it('all open, after thousands of requests of all kinds', async () => {
    const { url, opsUrl } = await start({
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.5',
    })
    const paths = ['/app/200', '/app/503', '/gone', '/app/404', '/nowhere', '/app/500', '/limited', '/app/200']
    const startedAt = Date.now() / 1_000
    // Each kind occurs more often than the recorder holds, so that traces exposed early are dropped by the end.
    for (let round = 0; round < 2; round++) {
      await sendMany(url, 3_000, index => ({ path: paths[index % paths.length]! }))
      const exemplars = withExemplars(await scrape(opsUrl))
      assert.ok(exemplars.length >= 10, `${exemplars.length} exemplars`)
      for (const sample of exemplars) {
        await assertOpens(opsUrl, sample)
        const { timestamp } = sample.exemplar
        assert.ok(timestamp! >= startedAt - 1 && timestamp! <= Date.now() / 1_000 + 1, `${timestamp} is when it was`)
      }
      for (const reason of ['connect_refused', 'upstream_5xx', 'limited']) {
        assert.ok(
          exemplars.some(({ name, labels }) => name === REQUESTS && labels['gateway_reason'] === reason),
          reason,
        )
      }
    }
    assert.ok((await listTraces(opsUrl)).length >= 1_000, 'the recorder is full')
  }).timeout(90_000)

  it('disappear together with their trace', async () => {
    const { url, opsUrl } = await start({ OTEL_TRACES_SAMPLER: 'always_on', TRACES_SLOW_MS: '10000' })
    await (await fetch(`${url}/app/501/60`)).text()
    const of501 = async (): Promise<SampleWithExemplar | undefined> =>
      withExemplars(await scrape(opsUrl)).find(
        ({ name, labels }) => name === DURATION && labels['http_response_status_code'] === '501',
      )
    const exemplar = (await until(of501, { what: 'an exemplar' })).exemplar
    assert.ok(exemplar.value >= 0.06 && exemplar.value < 5, 'of the bucket that the delay falls into')
    // Of the same kind, so that the first one is not the newest any more.
    await sendMany(url, 1_100, () => ({ path: '/app/503' }))
    assert.equal(await openTrace(opsUrl, exemplar.labels['trace_id']!), undefined)
    assert.equal(await of501(), undefined)
  }).timeout(60_000)

  it('of the newest fault of each kind stay, however many other requests follow', async () => {
    const { url, opsUrl } = await start({ OTEL_TRACES_SAMPLER: 'always_on' })
    const { trace_id: traceId } = (await (await fetch(`${url}/gone`)).json()) as { trace_id: string }
    await sendMany(url, 2_500, index => ({ path: index % 2 === 0 ? '/app/503' : '/app/200' }))
    const found = withExemplars(await scrape(opsUrl)).filter(({ exemplar }) => exemplar.labels['trace_id'] === traceId)
    assert.deepEqual(
      found.map(({ name }) => name).sort((a, b) => a.localeCompare(b)),
      [REQUESTS, DURATION],
    )
    for (const sample of found) await assertOpens(opsUrl, sample)
  }).timeout(60_000)

  it('of a rate limit point at the refused request', async () => {
    const { url, opsUrl } = await start({ OTEL_TRACES_SAMPLER: 'always_off' })
    await (await fetch(`${url}/limited/200`)).text()
    const refusal = (await (await fetch(`${url}/limited/200`)).json()) as { trace_id: string; reason: string }
    assert.equal(refusal.reason, 'limited')
    const exemplars = await until(
      async () => someOf(withExemplars(await scrape(opsUrl)).filter(({ name }) => name === LIMITS)),
      { what: 'exemplars' },
    )
    assert.deepEqual(
      exemplars.map(({ labels, exemplar }) => [labels['gateway_rate_limiting_result'], exemplar.labels['trace_id']]),
      [['limited', refusal.trace_id]],
      'none on the series of allowed requests, whose trace is not kept',
    )
  })

  it('are in OpenMetrics only', async () => {
    const { url, opsUrl } = await start({ OTEL_TRACES_SAMPLER: 'always_on' })
    await (await fetch(`${url}/gone`)).text()
    await until(async () => withExemplars(await scrape(opsUrl)).length > 0, { what: 'exemplars' })
    const text = await (await fetch(`${opsUrl}/metrics`, { headers: { accept: 'text/plain' } })).text()
    assert.match(text, /^gateway_requests_total\{.*gateway_reason="connect_refused".*\} 1$/m)
    assert.doesNotMatch(text, /trace_id/)
  })

  it('are absent after a restart, until there is a trace to open again', async () => {
    const before = await start({ OTEL_TRACES_SAMPLER: 'always_on' })
    await (await fetch(`${before.url}/gone`)).text()
    await until(async () => withExemplars(await scrape(before.opsUrl)).length > 0, { what: 'exemplars' })
    await before.stop()
    const { url, opsUrl } = await start({ OTEL_TRACES_SAMPLER: 'always_on' })
    assert.deepEqual(withExemplars(await scrape(opsUrl)), [])
    await (await fetch(`${url}/gone`)).text()
    const exemplars = await until(async () => someOf(withExemplars(await scrape(opsUrl))), { what: 'exemplars' })
    for (const sample of exemplars) await assertOpens(opsUrl, sample)
  })
})

function someOf<Item>(items: Item[]): Item[] | undefined {
  return items.length === 0 ? undefined : items
}
