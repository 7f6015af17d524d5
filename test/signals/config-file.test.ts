import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../support/free-port'
import { OtlpReceiver } from '../support/otlp-receiver'
import { scrape } from '../support/ops-port'
import { send } from '../support/send'
import { launchGateway, startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import type { TestProcess } from '../support/start-process'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

const EXAMPLE = join(__dirname, '../../../docs/examples/otel-config.yaml')

describe('a gateway with OTEL_CONFIG_FILE', function () {
  this.timeout(60_000)

  describe('that names the example of the documentation', () => {
    let upstream: RunningUpstream
    let receiver: OtlpReceiver
    let gateway: RunningGateway
    let opsPort: number

    before(async () => {
      upstream = await startUpstream()
      receiver = await OtlpReceiver.start()
      opsPort = await freePort()
      gateway = await startGateway({
        config: JSON.stringify(proxyTo(upstream.url)),
        env: {
          OTEL_CONFIG_FILE: EXAMPLE,
          OTEL_COLLECTOR_HTTP: receiver.httpUrl,
          OTEL_COLLECTOR_GRPC: receiver.grpcUrl,
          OTEL_BSP_SCHEDULE_DELAY: '50',
          OTEL_BLRP_SCHEDULE_DELAY: '50',
          OTEL_METRIC_EXPORT_INTERVAL: '500',
          SAMPLING_RATIO: '1',
          OTEL_RESOURCE_ATTRIBUTES: 'team=edge',
          // Ignored: the file does not name them.
          OTEL_TRACES_EXPORTER: 'none',
          OTEL_EXPORTER_OTLP_HEADERS: 'x-ignored=1',
          OTEL_PROPAGATORS: 'none',
          OTEL_EXPORTER_PROMETHEUS_PORT: '1',
          OPS_PORT: String(opsPort),
        },
      })
      assert.equal((await send(gateway.port, '/app/any')).status, 200)
    })
    after(async () => {
      await gateway.stop()
      await receiver.stop()
      await upstream.stop()
    })

    it('sends spans to both receivers, metrics and log records', async () => {
      const requests = ['grpc traces', 'POST /v1/traces application/x-protobuf gzip', 'POST /v1/logs application/json']
      for (const request of requests)
        await until(() => receiver.requests.includes(request), { what: `${request} among ${receiver.requests.join()}` })
      await until(() => receiver.spans.filter(({ kind }) => kind === 2).length >= 2, { what: 'both SERVER spans' })
      await until(() => receiver.logs.length > 0, { what: 'log records' })
    })

    it('has the metrics of its instrumentations, which the SDK alone would lose in this mode', async () => {
      for (const name of ['http.server.request.duration', 'nodejs.eventloop.utilization'])
        await until(() => receiver.metrics.some(metric => metric.name === name), { what: name })
      const duration = receiver.metrics.find(({ name }) => name === 'http.server.request.duration')
      assert.equal(duration?.isExponential, true)
      const families = await scrape(gateway.opsUrl)
      assert.ok(families.has('http_server_request_duration_seconds'))
      assert.ok(families.has('nodejs_eventloop_utilization_ratio'))
      assert.ok(families.has('gateway_traces_kept'), 'what the gateway adds')
    })

    it('applies views to both ways', async () => {
      await until(() => receiver.metrics.length > 0, { what: 'metrics' })
      assert.ok(!receiver.metrics.some(({ name }) => name.startsWith('v8js.memory.heap.space')))
      const families = await scrape(gateway.opsUrl)
      assert.ok(![...families.keys()].some(name => name.startsWith('v8js_memory_heap_space')))
    })

    it('fills in variables that the file names, and ignores others', async () => {
      const resource = await until(() => receiver.resources[0], { what: 'a resource' })
      assert.equal(resource['team'], 'edge')
      assert.equal(resource['service.name'], 'myesi-api')
      assert.equal(resource['deployment.environment.name'], 'demo')
      assert.equal(typeof resource['host.name'], 'string')
      assert.equal(resource['host.id'], undefined)
      const said = await until(
        () => gateway.logs.find(({ event, msg }) => event === 'telemetry' && String(msg).includes('are ignored')),
        { what: 'a line about ignored variables' },
      )
      const ignored =
        /OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_PROMETHEUS_PORT, OTEL_PROPAGATORS, OTEL_TRACES_EXPORTER\./
      assert.match(String(said['msg']), ignored)
      assert.ok(!String(said['msg']).includes('OTEL_BSP_SCHEDULE_DELAY'), 'what the file names is not ignored')
      const { headers } = upstream.requests[0]!
      assert.match(String(headers['tracestate']), /^ot=th:0$/)
      assert.ok(headers['b3'], 'all three propagators')
    })

    it('has its ops port where the file says', () => {
      assert.equal(gateway.opsPort, opsPort)
      assert.equal(gateway.logs.find(({ msg }) => msg === 'telemetry started')?.['file'], EXAMPLE)
    })
  })

  describe('that is wrong', () => {
    let child: TestProcess | undefined
    afterEach(async () => {
      await child?.kill()
    })

    it('says where, together with the problems of gateway.yaml, exits with 78 and has not listened', async () => {
      const file = join(temporaryFolder(), 'otel-config.yaml')
      writeFileSync(
        file,
        `file_format: "1.0"
tracer_provider:
  processors:
    - batch:
        exporter:
          otlp_http: { endpont: "http://localhost:4318/v1/traces" }
  sampler:
    jaeger_remote/development: { endpoint: "http://localhost:14250", initial_sampler: { always_on: } }
`,
      )
      child = launchGateway({ config: 'routes: 1', env: { OTEL_CONFIG_FILE: file } }).child
      const { code } = await child.exited
      const said = child.lines.join('\n')
      assert.equal(code, 78)
      assert.match(said, /otel-config\.yaml:6:24 tracer_provider\.processors\[0\]\.batch\.exporter\.otlp_http\.endpont/)
      assert.match(said, /"endpont" is not a key here/)
      assert.match(said, /did you mean: endpoint/)
      assert.match(said, /otel-config\.yaml:8:5 tracer_provider\.sampler\.jaeger_remote\/development/)
      assert.match(said, /"jaeger_remote\/development" is not supported: no sampler for Node asks Jaeger/)
      assert.match(said, /gateway\.yaml:1:1/)
      assert.ok(!said.includes('"listening"'))
    })
  })
})
