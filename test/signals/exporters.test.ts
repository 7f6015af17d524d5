import assert from 'node:assert/strict'
import { OtlpReceiver } from '../support/otlp-receiver'
import { parseExposition, sampleValue } from '../support/exposition'
import { startInstrumented, type InstrumentedProgram } from '../support/start-instrumented'
import type { LogEntry } from '../support/start-process'
import { startUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const PROMETHEUS = { accept: 'application/openmetrics-text' }

/** Sends all signals after a short time instead of seconds. */
const IMPATIENT = {
  OTEL_METRIC_EXPORT_INTERVAL: '500',
  OTEL_BSP_SCHEDULE_DELAY: '50',
  OTEL_BLRP_SCHEDULE_DELAY: '50',
}
const ALL_OTLP = { OTEL_METRICS_EXPORTER: 'otlp', OTEL_TRACES_EXPORTER: 'otlp', OTEL_LOGS_EXPORTER: 'otlp' }

describe('exporters', function () {
  // Each test starts a program, which takes seconds on a busy machine.
  this.timeout(60_000)

  let receiver: OtlpReceiver
  let program: InstrumentedProgram | undefined

  beforeEach(async () => {
    receiver = await OtlpReceiver.start()
  })

  afterEach(async () => {
    await program?.process.kill()
    program = undefined
    await receiver.stop()
  })

  async function start(settings: NodeJS.ProcessEnv, preload?: readonly string[]): Promise<InstrumentedProgram> {
    return (program = await startInstrumented({ ...IMPATIENT, ...settings }, preload))
  }

  /** One request through the gateway, and the signals that arrived. */
  async function sendOne(url: string): Promise<void> {
    const response = await fetch(`${url}/hello/world`)
    assert.equal(await response.text(), 'up')
  }

  async function untilAllArrived(): Promise<void> {
    await until(() => receiver.spans.length >= 3, { what: 'three spans' })
    await until(() => receiver.logs.some(record => record.body === 'hello'), { what: 'the log record' })
    await until(() => receiver.metrics.some(metric => metric.name === 'http.server.request.duration'), {
      what: 'the metric',
    })
  }

  for (const [protocol, endpoint, requests] of [
    [
      'http/protobuf',
      'httpUrl',
      [
        'POST /v1/logs application/x-protobuf gzip',
        'POST /v1/metrics application/x-protobuf gzip',
        'POST /v1/traces application/x-protobuf gzip',
      ],
    ],
    [
      'http/json',
      'httpUrl',
      [
        'POST /v1/logs application/json gzip',
        'POST /v1/metrics application/json gzip',
        'POST /v1/traces application/json gzip',
      ],
    ],
    ['grpc', 'grpcUrl', ['grpc logs', 'grpc metrics', 'grpc traces']],
  ] as const) {
    it(`send traces, metrics and logs by OTLP over ${protocol}`, async () => {
      const { url, start: said } = await start({
        ...ALL_OTLP,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver[endpoint],
        OTEL_EXPORTER_OTLP_COMPRESSION: 'GZIP',
      })
      assert.deepEqual(said['exporters'], { metrics: ['otlp'], traces: ['otlp'], logs: ['otlp'] })
      await sendOne(url)
      await untilAllArrived()
      assert.deepEqual([...new Set(receiver.requests)].sort(), requests)

      const root = receiver.spans.find(span => span.name === 'GET /hello/:name')
      const client = receiver.spans.find(span => span.kind === 3)
      const upstream = receiver.spans.find(span => span.name === 'GET /upstream')
      assert.ok(root && client && upstream)
      assert.equal(root.parentSpanId, '')
      assert.equal(root.attributes['http.route'], '/hello/:name')
      assert.deepEqual([client.traceId, client.parentSpanId], [root.traceId, root.spanId])
      assert.deepEqual([upstream.traceId, upstream.parentSpanId], [root.traceId, client.spanId])

      const line = receiver.logs.find(record => record.body === 'hello')
      assert.equal(line?.traceId, root.traceId)
      assert.equal(line.attributes['who'], 'world')

      const duration = receiver.metrics.find(metric => metric.name === 'http.server.request.duration')
      assert.equal(duration?.unit, 's')
      assert.ok(duration.points.some(attributes => attributes['http.route'] === '/hello/:name'))
    })
  }

  for (const [protocol, endpoint] of [
    ['http/protobuf', 'httpUrl'],
    ['http/json', 'httpUrl'],
    ['grpc', 'grpcUrl'],
  ] as const) {
    it(`count the bytes that each signal writes over ${protocol}, so that the cost of a request is known`, async () => {
      const { url, scrape } = await start({
        ...ALL_OTLP,
        OTEL_METRICS_EXPORTER: 'otlp,prometheus',
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver[endpoint],
      })
      const written = async (): Promise<number[]> => {
        const { text } = await scrape(PROMETHEUS)
        const families = parseExposition(text, 'openmetrics')
        return ['traces', 'logs', 'metrics'].map(signal => {
          const labels = { gateway_telemetry_signal: signal }
          return sampleValue(families, 'gateway_telemetry_written_bytes_total', labels) ?? NaN
        })
      }
      await sendOne(url)
      const [traces = 0, logs = 0] = await until(
        async () => {
          const bytes = await written()
          return bytes.every(count => count > 100) && bytes
        },
        { what: 'bytes of every signal' },
      )
      // More requests write more, each a few hundred bytes to a few kilobytes for its spans.
      for (let index = 0; index < 10; index++) await sendOne(url)
      const spans = (): number => receiver.spans.length
      await until(() => spans() >= 33, { what: 'the spans of all requests' })
      const [tracesAfter = 0, logsAfter = 0] = await written()
      assert.ok(logsAfter > logs, `${logs} to ${logsAfter}`)
      assert.ok(
        (tracesAfter - traces) / 10 > 300 && (tracesAfter - traces) / 10 < 20_000,
        `${traces} to ${tracesAfter}`,
      )
    })
  }

  it('send each signal by its own protocol to its own receiver', async () => {
    const { url } = await start({
      ...ALL_OTLP,
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: receiver.grpcUrl,
      OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${receiver.httpUrl}/v1/metrics`,
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${receiver.httpUrl}/v1/logs`,
    })
    await sendOne(url)
    await untilAllArrived()
    assert.deepEqual([...new Set(receiver.requests)].sort(), [
      'POST /v1/logs application/x-protobuf',
      'POST /v1/metrics application/json',
      'grpc traces',
    ])
  })

  it('identify the service, and do not send its command line', async () => {
    const { url } = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl,
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,service.instance.id=one',
    })
    await sendOne(url)
    await until(() => receiver.spans.length > 0, { what: 'spans' })
    const [resource] = receiver.resources
    assert.deepEqual(Object.keys(resource ?? {}).sort(), [
      'deployment.environment.name',
      'service.instance.id',
      'service.name',
      'service.version',
      'telemetry.sdk.language',
      'telemetry.sdk.name',
      'telemetry.sdk.version',
    ])
    assert.equal(resource?.['service.name'], 'myesi-api')
    assert.equal(resource['service.instance.id'], 'one')
    assert.match(String(resource['service.version']), /^\d+\.\d+\.\d+/)
  })

  it('expose metrics to Prometheus and send nothing by default', async () => {
    const { url, start: said, scrape, stop } = await start({})
    assert.deepEqual(said['exporters'], { metrics: ['prometheus'], traces: [], logs: [] })
    await sendOne(url)
    const { text } = await scrape(PROMETHEUS)
    const families = parseExposition(text, 'openmetrics')
    assert.equal(sampleValue(families, 'http_server_request_duration_seconds_count', { http_route: '/hello/:name' }), 1)
    assert.equal(sampleValue(families, 'http_client_request_duration_seconds_count'), 1)
    assert.equal((await stop())['complete'], true)
    assert.deepEqual(receiver.requests, [])
  })

  it('send traces and logs, and expose metrics, when only an OTLP endpoint is set', async () => {
    const { url, scrape } = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl })
    await sendOne(url)
    await until(() => receiver.spans.length >= 3 && receiver.logs.length > 0, { what: 'spans and logs' })
    assert.equal((await scrape()).status, 200)
    assert.deepEqual(receiver.metrics, [])
  })

  it('write to the console where configured', async () => {
    const { url, process, scrape } = await start({
      OTEL_METRICS_EXPORTER: 'console',
      OTEL_TRACES_EXPORTER: 'console',
      OTEL_LOGS_EXPORTER: 'console',
    })
    await sendOne(url)
    await process.waitForLine('a span', line => line.includes("name: 'GET /hello/:name'"))
    await process.waitForLine('a metric', line => line.includes("name: 'http.server.request.duration'"))
    await process.waitForLine('a log record', line => line.includes("body: 'hello'"))
    assert.equal((await scrape()).status, 404)
  })

  it('send to several receivers at once', async () => {
    const { url, process, scrape } = await start({
      OTEL_METRICS_EXPORTER: 'prometheus,otlp,console',
      OTEL_TRACES_EXPORTER: 'otlp,console',
      OTEL_LOGS_EXPORTER: 'console,otlp',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl,
    })
    await sendOne(url)
    await untilAllArrived()
    const families = parseExposition((await scrape(PROMETHEUS)).text, 'openmetrics')
    assert.equal(sampleValue(families, 'http_server_request_duration_seconds_count', { http_route: '/hello/:name' }), 1)
    await process.waitForLine('a span', line => line.includes("name: 'GET /hello/:name'"))
    await process.waitForLine('a metric', line => line.includes("name: 'http.server.request.duration'"))
    await process.waitForLine('a log record', line => line.includes("body: 'hello'"))
  })

  it('keep trace ids in the log even when every exporter is none', async () => {
    const { url, process, scrape, stop } = await start({
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_LOGS_EXPORTER: 'none',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl,
    })
    await sendOne(url)
    const line = await process.waitForLog('the line', entry => entry['event'] === 'hello')
    assert.match(String(line['trace_id']), /^(?!0{32})[0-9a-f]{32}$/)
    assert.equal((await scrape()).status, 404)
    assert.equal((await stop())['complete'], true)
    assert.deepEqual(receiver.requests, [])
  })

  it('start nothing when the SDK is disabled', async () => {
    const {
      url,
      start: said,
      process,
      scrape,
      stop,
    } = await start({
      ...ALL_OTLP,
      OTEL_SDK_DISABLED: 'true',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl,
    })
    assert.equal(said['enabled'], false)
    await sendOne(url)
    const line = await process.waitForLog('the line', entry => entry['event'] === 'hello')
    assert.equal(line['trace_id'], undefined)
    assert.equal((await scrape()).status, 404)
    assert.equal((await stop())['complete'], true)
    assert.deepEqual(receiver.requests, [])
  })

  it('do not start with an invalid setting, and report it', async () => {
    const { url, start: said, scrape } = await start({ OTEL_METRICS_EXPORTER: 'promethues' })
    assert.equal(said['enabled'], false)
    assert.deepEqual(said['problems'], [
      {
        where: 'OTEL_METRICS_EXPORTER',
        problem: '"promethues" is not known',
        allowed: 'otlp, console, prometheus, none',
        nearest: 'prometheus',
      },
    ])
    await sendOne(url)
    assert.equal((await scrape()).status, 404)
  })

  it('keep their own messages off the console, whatever the log level', async () => {
    const { url, process } = await start({ OTEL_LOG_LEVEL: 'debug', OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl })
    await sendOne(url)
    const isDebug = (entry: LogEntry): boolean => entry['event'] === 'telemetry' && entry['level'] === 20
    await process.waitForLog('what the SDK says at debug level', isDebug)
    assert.deepEqual(
      process.lines.filter(line => !line.startsWith('{')),
      [],
    )
  })

  it('find their modules when another module has loaded them before', async () => {
    const { start: said } = await start({}, [require.resolve('express'), require.resolve('ioredis')])
    assert.deepEqual(said['notInstrumented'], [])
  })

  it('hide the query of a URL, because any of its values may be a secret', async () => {
    const { url } = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl })
    await fetch(`${url}/hello/world?token=very-secret&y=2`).then(async response => response.text())
    await until(() => receiver.spans.length >= 3, { what: 'three spans' })
    const attributes = receiver.spans.map(span => span.attributes)
    assert.match(JSON.stringify(attributes), /hello\/world/)
    assert.doesNotMatch(JSON.stringify(attributes), /very-secret|y=2/)
  })

  for (const [protocol, endpoint] of [
    ['http/protobuf', 'httpUrl'],
    ['http/json', 'httpUrl'],
    ['grpc', 'grpcUrl'],
  ] as const) {
    it(`send exponential histograms by OTLP over ${protocol} if configured, and keep buckets on /metrics`, async () => {
      const { url, scrape } = await start({
        OTEL_METRICS_EXPORTER: 'prometheus,otlp',
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${receiver[endpoint]}${protocol === 'grpc' ? '' : '/v1/metrics'}`,
        OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: 'base2_exponential_bucket_histogram',
      })
      await sendOne(url)
      const duration = await until(
        () =>
          receiver.metrics.find(
            ({ name, points }) =>
              name === 'http.server.request.duration' &&
              points.some(attributes => attributes['http.route'] === '/hello/:name'),
          ),
        { what: 'the metric' },
      )
      assert.equal(duration.isExponential, true)
      const families = parseExposition((await scrape(PROMETHEUS)).text, 'openmetrics')
      const buckets = { http_route: '/hello/:name', le: '+Inf' }
      assert.equal(sampleValue(families, 'http_server_request_duration_seconds_bucket', buckets), 1)
    })
  }

  for (const [status, said] of [
    [401, 'answered 401 Unauthorized: no such tenant'],
    [404, 'answered 404 Not Found: no such tenant'],
  ] as const) {
    it(`report the response of a receiver that refuses with ${status} once, and count it`, async () => {
      const refusing = await startUpstream((request, response) => {
        request.resume()
        response.writeHead(status).end(`no such tenant\n${'x'.repeat(5_000)}`)
      })
      const { url, process, scrape } = await start({
        ...ALL_OTLP,
        OTEL_METRICS_EXPORTER: 'prometheus',
        OTEL_EXPORTER_OTLP_ENDPOINT: refusing.url,
      })
      for (const [signal, many] of [
        ['traces', 'traces'],
        ['logs', 'logs'],
      ] as const) {
        await until(
          async () => {
            await sendOne(url)
            const { text } = await scrape(PROMETHEUS)
            const labels = { gateway_telemetry_signal: signal, error_type: String(status) }
            return (
              (sampleValue(parseExposition(text, 'openmetrics'), 'gateway_telemetry_exports_total', labels) ?? 0) > 1
            )
          },
          { what: `two refused exports of ${many}` },
        )
        const lines = process.logs
          .map(entry => String(entry['msg']))
          .filter(line => line.includes(`${signal} could not`))
        assert.equal(lines.length, 1, lines.join('\n'))
        assert.ok(lines[0]!.includes(`${refusing.url}/v1/${signal}`), lines[0])
        assert.ok(lines[0]!.includes(said), lines[0])
        assert.ok(lines[0]!.length < 500, lines[0])
      }
      await refusing.stop()
    })
  }

  describe('when the collector is down', () => {
    /** A port without a listener. */
    const NOBODY = { ...ALL_OTLP, OTEL_METRICS_EXPORTER: 'prometheus,otlp', OTEL_EXPORTER_OTLP_TIMEOUT: '300' }

    for (const protocol of ['http/protobuf', 'grpc'] as const) {
      it(`keep serving, count lost data and report it once, over ${protocol}`, async () => {
        await receiver.stop()
        const { url, process, scrape } = await start({
          ...NOBODY,
          OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
          OTEL_EXPORTER_OTLP_ENDPOINT: protocol === 'grpc' ? receiver.grpcUrl : receiver.httpUrl,
        })
        for (const signal of ['span', 'log', 'metric_data_point']) {
          await until(
            async () => {
              await sendOne(url)
              const { text } = await scrape(PROMETHEUS)
              const exported = parseExposition(text, 'openmetrics').get(`otel_sdk_exporter_${signal}_exported`)
              return exported?.samples.some(sample => sample.value > 0 && sample.labels['error_type'] !== undefined)
            },
            { what: `a count of lost ${signal}s` },
          )
        }
        const complaints = process.logs.filter(entry => entry['event'] === 'telemetry').map(entry => entry['msg'])
        assert.ok(complaints.length > 0)
        assert.equal(new Set(complaints).size, complaints.length, complaints.join('\n'))
      })
    }

    it('shut down within the time limit, and report the lost data', async () => {
      await receiver.stop()
      const { url, stop } = await start({
        ...NOBODY,
        OTEL_EXPORTER_OTLP_TIMEOUT: '30000',
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl,
        SHUTDOWN_MS: '400',
      })
      await sendOne(url)
      const { complete, took_ms: took } = await stop()
      assert.equal(complete, false)
      assert.ok(Number(took) < 3_000, `${String(took)} ms`)
    })
  })

  it('send buffered data at shutdown', async () => {
    const { url, stop } = await start({
      ...ALL_OTLP,
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl,
      OTEL_METRIC_EXPORT_INTERVAL: '600000',
      OTEL_BSP_SCHEDULE_DELAY: '600000',
      OTEL_BLRP_SCHEDULE_DELAY: '600000',
    })
    await sendOne(url)
    assert.deepEqual(receiver.requests, [])
    assert.equal((await stop())['complete'], true)
    assert.equal(receiver.spans.length, 3)
    assert.ok(receiver.logs.some(record => record.body === 'hello'))
    assert.ok(receiver.metrics.some(metric => metric.name === 'http.server.request.duration'))
  })
})
