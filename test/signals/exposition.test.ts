import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text as allOf } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { diag, DiagLogLevel, type Meter } from '@opentelemetry/api'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { request as call } from 'undici'
import { NO_EXEMPLARS } from '../../otel/sdk/exemplars'
import { PrometheusExposition } from '../../otel/sdk/exposition/exporter'
import { LabelCache } from '../../otel/sdk/exposition/labels'
import { Scrape, type Collected } from '../../otel/sdk/exposition/scrape'
import { findBinary } from '../../tools/stack/binaries'
import { namesInTelemetryDocs } from '../support/documented-names'
import { parseExposition, sampleValue, type ExposedFamily } from '../support/exposition'
import { needs } from '../support/needs'
import { openRaw } from '../support/raw-http'
import { startInstrumented, type InstrumentedProgram } from '../support/start-instrumented'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const TEXT = 'text/plain; version=0.0.4; charset=utf-8'
const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

describe('the metrics exposition', () => {
  let exposition: PrometheusExposition
  let provider: MeterProvider
  let meter: Meter
  let server: RunningUpstream
  let complaints: string[]

  beforeEach(async () => {
    complaints = []
    const complain = (...words: unknown[]): void => void complaints.push(words.map(String).join(' '))
    const ignore = (): void => {}
    const logger = { error: complain, warn: complain, info: ignore, debug: ignore, verbose: ignore }
    diag.setLogger(logger, DiagLogLevel.WARN)
    await serve(new PrometheusExposition())
  })

  afterEach(async () => {
    diag.disable()
    await server.stop()
  })

  async function serve(exporter: PrometheusExposition): Promise<void> {
    await server?.stop()
    exposition = exporter
    provider = new MeterProvider({ readers: [exposition] })
    meter = provider.getMeter('test')
    server = await startUpstream((request, response) => exposition.getMetricsRequestHandler(request, response))
  }

  async function scrape(headers: Record<string, string> = {}): Promise<{
    status: number
    headers: Readonly<Record<string, string | string[] | undefined>>
    body: Buffer
  }> {
    const answer = await call(`${server.url}/metrics`, { headers })
    return { status: answer.statusCode, headers: answer.headers, body: Buffer.from(await answer.body.arrayBuffer()) }
  }

  it('is text unless OpenMetrics is preferred', async () => {
    meter.createCounter('requests').add(1)
    const text = await scrape()
    assert.equal(text.headers['content-type'], TEXT)
    assert.equal(sampleValue(parseExposition(text.body.toString(), 'text'), 'requests_total'), 1)
    const openmetrics = await scrape({ accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' })
    assert.equal(openmetrics.headers['content-type'], OPENMETRICS)
    assert.equal(sampleValue(parseExposition(openmetrics.body.toString(), 'openmetrics'), 'requests_total'), 1)
  })

  it('is gzipped if the client accepts that', async () => {
    meter.createCounter('requests').add(1)
    const gzipped = await scrape({ 'accept-encoding': 'gzip' })
    assert.equal(gzipped.headers['content-encoding'], 'gzip')
    assert.equal(Number(gzipped.headers['content-length']), gzipped.body.length)
    assert.match(gunzipSync(gzipped.body).toString(), /^requests_total\{otel_scope_name="test"\} 1$/m)
    const plain = await scrape()
    assert.equal(plain.headers['content-encoding'], undefined)
    assert.equal(Number(plain.headers['content-length']), plain.body.length)
  })

  it('tells caches not to store it, and to separate formats', async () => {
    const { headers } = await scrape()
    assert.equal(headers['cache-control'], 'no-store')
    assert.equal(headers['vary'], 'accept, accept-encoding')
  })

  it('collects once for overlapping scrapes, and again for the next one', async () => {
    let collections = 0
    meter.createObservableGauge('collections').addCallback(result => result.observe(++collections))
    const formats = [TEXT, OPENMETRICS, TEXT, OPENMETRICS]
    const bodies = await Promise.all(
      formats.map(async (accept, index) => scrape({ accept, 'accept-encoding': index < 2 ? 'gzip' : 'identity' })),
    )
    assert.equal(bodies.length, 4)
    // One connection may arrive so late that it counts as the next scrape, but never all of them.
    assert.ok(collections < 4, `${collections} collections`)
    const before = collections
    const { body } = await scrape()
    assert.equal(sampleValue(parseExposition(body.toString(), 'text'), 'collections'), before + 1)
  })

  it('yields to other work while it writes a large response', async () => {
    const counter = meter.createCounter('series')
    for (let count = 0; count < 1_900; count++)
      counter.add(1, { 'a.rather.long.attribute': `value ${count}`.repeat(50) })
    let turns = 0
    let writing = true
    const turn = (): void => {
      turns++
      if (writing) setImmediate(turn)
    }
    setImmediate(turn)
    const chunks: unknown[] = []
    const response = {
      headersSent: false,
      writeHead: () => response,
      write: (chunk: unknown) => chunks.push(chunk),
      end: () => (writing = false),
    }
    exposition.getMetricsRequestHandler({ headers: {} } as never, response as never)
    await until(() => !writing, { what: 'the whole exposition' })
    assert.ok(turns >= 3, `${turns} turns`)
    assert.ok(chunks.length > 10)
  })

  for (const format of ['text', 'openmetrics', 'protobuf'] as const) {
    it(`yields after each millisecond while it renders 700 histograms: ${format}`, async () => {
      const histogram = meter.createHistogram('duration', {
        advice: {
          explicitBucketBoundaries: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
        },
      })
      for (let count = 0; count < 700; count++) histogram.record(0.1, { 'http.route': `/orders/${count}` })
      const rendering = { labels: new LabelCache(), complain: () => {} }
      const collect = async (): Promise<Collected> => {
        const { resourceMetrics } = await exposition.collect()
        return { metrics: resourceMetrics, exemplars: NO_EXEMPLARS, exponential: undefined }
      }
      const scrape = new Scrape(collect, rendering)
      // Ten readings of this clock are a millisecond: it has to be read after every few series.
      const now = performance.now.bind(performance)
      let readings = 0
      let ofThisTurn = 0
      let most = 0
      let rendered = false
      performance.now = () => {
        most = Math.max(most, ++ofThisTurn)
        return ++readings / 10
      }
      const turn = (): void => {
        ofThisTurn = 0
        if (!rendered) setImmediate(turn)
      }
      turn()
      try {
        await scrape.body(format, false)
      } finally {
        rendered = true
        performance.now = now
      }
      assert.ok(readings >= 100, `${readings} readings for 700 histograms`)
      assert.ok(most <= 13, `${most} readings without yielding`)
    })
  }

  it('answers 503 with a comment after shutdown', async () => {
    await provider.shutdown()
    const { status, headers, body } = await scrape()
    assert.equal(status, 503)
    assert.equal(headers['content-type'], TEXT)
    assert.match(body.toString(), /^# .*shutdown\n$/)
  })

  it('omits an instrument that throws, and reports it', async () => {
    meter.createCounter('good').add(1)
    meter.createObservableGauge('bad').addCallback(() => {
      throw new Error('broken callback')
    })
    const { status, body } = await scrape()
    assert.equal(status, 200)
    assert.equal(sampleValue(parseExposition(body.toString(), 'text'), 'good_total'), 1)
    assert.match(complaints.join(), /broken callback/)
  })

  it('stops waiting for an instrument that does not answer', async () => {
    await serve(new PrometheusExposition(NO_EXEMPLARS, 50))
    meter.createCounter('good').add(1)
    meter.createObservableGauge('slow').addCallback(async () => new Promise(() => {}))
    const { status, body } = await scrape()
    assert.equal(status, 200)
    assert.equal(sampleValue(parseExposition(body.toString(), 'text'), 'good_total'), 1)
    assert.equal(complaints.length, 1)
  })

  it('survives a scraper that hangs up', async () => {
    const counter = meter.createCounter('series')
    for (let count = 0; count < 1_900; count++) counter.add(1, { count, 'a.label': 'x'.repeat(500) })
    const raw = await openRaw(server.port)
    raw.send('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => server.requests.length > 0, { what: 'the request' })
    raw.destroy()
    assert.equal((await scrape()).status, 200)
    assert.deepEqual(complaints, [])
  })

  it('reports once which series it has to omit', async () => {
    meter.createCounter('calls').add(NaN)
    await scrape()
    await scrape({ accept: OPENMETRICS })
    assert.equal(complaints.length, 1, complaints.join('\n'))
  })
})

describe('exposition of a program with traffic', function () {
  // Each test starts a program, which takes seconds on a busy machine.
  this.timeout(60_000)

  let program: InstrumentedProgram

  beforeEach(async () => {
    program = await startInstrumented()
  })

  afterEach(async () => {
    await program.process.kill()
  })

  async function families(): Promise<ReadonlyMap<string, ExposedFamily>> {
    const { text } = await program.scrape({ accept: OPENMETRICS })
    return parseExposition(text, 'openmetrics')
  }

  async function countOf(labels: Readonly<Record<string, string>>): Promise<number | undefined> {
    return sampleValue(await families(), 'http_server_request_duration_seconds_count', labels)
  }

  it('has a name, a unit, a description and a line in docs/telemetry.md for every metric', async () => {
    await fetch(`${program.url}/hello/world`)
    // The runtime measures event loop delay only after several turns.
    const found = await until(
      async () => {
        const all = await families()
        return all.has('nodejs_eventloop_delay_p99_seconds') && all
      },
      { what: 'an event loop delay', intervalMs: 200 },
    )
    for (const name of [
      'http_server_request_duration_seconds',
      'http_client_request_duration_seconds',
      'process_cpu_time_seconds',
      'process_memory_usage_bytes',
      'process_uptime_seconds',
      'nodejs_eventloop_utilization_ratio',
      'nodejs_eventloop_time_seconds',
      'v8js_memory_heap_used_bytes',
      'v8js_memory_heap_space_size_bytes',
      'target',
    ]) {
      assert.ok(found.has(name), `${name} is missing among ${[...found.keys()].join(' ')}`)
    }
    const undescribed = [...found.values()].filter(family => family.help === undefined).map(family => family.name)
    assert.deepEqual(undescribed, [])
    const documented = namesInTelemetryDocs()
    const names = [...found.values()].map(({ name, type }) => (type === 'counter' ? `${name}_total` : name))
    assert.deepEqual(
      names.filter(name => name !== 'target' && !documented.has(name)),
      [],
    )
  })

  it('contains the resource use of the process', async () => {
    const found = await families()
    const rss = sampleValue(found, 'process_memory_usage_bytes') ?? 0
    assert.ok(rss > 20e6 && rss < 2e9, `${rss} bytes`)
    for (const mode of ['user', 'system']) {
      const seconds = sampleValue(found, 'process_cpu_time_seconds_total', { cpu_mode: mode }) ?? 0
      assert.ok(seconds > 0 && seconds < 60, `${seconds} s of ${mode}`)
    }
  })

  it('does not count scrapes and ops requests as traffic', async () => {
    await (await fetch(`${program.opsUrl}/anything`)).text()
    await program.scrape()
    await (await fetch(`${program.url}/metrics?name=x`)).text()
    await (await fetch(`${program.url}/routed`)).text()
    const family = (await families()).get('http_server_request_duration_seconds')
    const routes = family?.samples.filter(sample => sample.name.endsWith('_count'))
    assert.deepEqual(
      routes?.map(({ labels, value }) => [labels['http_route'], value]),
      [['/chosen/:route', 1]],
    )
  })

  it('counts a client that left as 499, whatever status was already sent', async () => {
    const raw = await openRaw(Number(new URL(program.url).port))
    raw.send('GET /never HTTP/1.1\r\nHost: x\r\n\r\n')
    await program.process.waitForLog('the request', entry => entry['event'] === 'never')
    raw.destroy()
    await until(async () => (await countOf({ http_response_status_code: '499', http_route: '/never' })) === 1, {
      what: 'a request with status 499',
    })
  })

  for (const [route, status] of [
    ['/cut/by-socket', '502'],
    ['/cut/by-response', '206'],
  ] as const) {
    it(`keeps the status of a response that the program broke off itself, as ${route} does`, async () => {
      await assert.rejects(async () => (await fetch(`${program.url}${route}`)).text())
      await until(async () => (await countOf({ http_response_status_code: status, http_route: route })) === 1, {
        what: `a request with status ${status}`,
      })
      assert.equal(await countOf({ http_response_status_code: '499' }), undefined)
    })
  }

  describe('when checked with promtool', () => {
    before(needs('promtool'))

    it('produces no warning', async () => {
      await fetch(`${program.url}/hello/world`)
      const { text } = await program.scrape()
      const { path } = await findBinary('promtool')
      const promtool = spawn(path, ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] })
      promtool.stdin.end(text)
      const said = Promise.all([allOf(promtool.stdout), allOf(promtool.stderr)])
      const [code] = (await once(promtool, 'close')) as [number]
      assert.deepEqual([(await said).join(''), code], ['', 0])
    })
  })
})
