import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import * as conventions from '@opentelemetry/semantic-conventions/incubating'
import * as semconv from '../../src/telemetry/semconv'
import { OtlpReceiver } from '../support/otlp-receiver'
import { listTraces, openTrace, type OpenedSpan } from '../support/ops-port'
import { openRaw, rawExchange } from '../support/raw-http'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

function telemetryDocs(): string {
  return readFileSync(join(__dirname, '../../..', 'docs/telemetry.md'), 'utf8')
}

/** All names of attributes and metrics, stable and not. */
function knownNames(): ReadonlySet<unknown> {
  const constants = Object.entries(conventions).filter(([constant]) => /^(?:ATTR|METRIC)_/.test(constant))
  return new Set(constants.map(([, name]) => name))
}

/** Names in the table of those that the conventions do not define. */
function documented(): string[] {
  const [, section = ''] = telemetryDocs().split('### Names that the conventions do not have')
  return [...(section.split(/^#/m)[0] ?? '').matchAll(/`([a-z0-9_.]+)`/g)].map(([, name]) => name ?? '')
}

/** Requirements of the semantic conventions for spans, scopes and log records, checked on exported data. */
describe('the semantic conventions', function () {
  this.timeout(60_000)

  let upstream: RunningUpstream
  let receiver: OtlpReceiver
  let gateway: RunningGateway

  before(async () => {
    upstream = await startUpstream()
    receiver = await OtlpReceiver.start()
    gateway = await startGateway({
      config: JSON.stringify({
        upstreams: { app: { targets: [upstream.url] } },
        routes: [
          { name: 'app', match: { path: '/app' }, upstream: 'app' },
          { name: 'closed', match: { path: '/closed' }, upstream: 'app', maintenance: true },
        ],
      }),
      env: {
        OTEL_METRICS_EXPORTER: 'prometheus,otlp',
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl,
        OTEL_METRIC_EXPORT_INTERVAL: '500',
        OTEL_BLRP_SCHEDULE_DELAY: '50',
        OTEL_BSP_SCHEDULE_DELAY: '50',
      },
    })
  })

  after(async () => {
    await gateway?.kill()
    await receiver?.stop()
    await upstream?.stop()
  })

  /** Sends these bytes; returns the SERVER span of that request. */
  async function spanOf(head: string): Promise<OpenedSpan> {
    const known = new Set((await listTraces(gateway.opsUrl)).map(({ traceId }) => traceId))
    await rawExchange(gateway.port, `${head}\r\nConnection: close\r\n\r\n`)
    const { traceId } = await until(
      async () => (await listTraces(gateway.opsUrl)).find(trace => !known.has(trace.traceId)),
      { what: 'the trace' },
    )
    return (await openTrace(gateway.opsUrl, traceId))!.find(({ kind }) => kind === 2)!
  }

  for (const [host, address, port] of [
    ['shop.example:8080', 'shop.example', 8080],
    ['[::1]:81', '[::1]', 81],
    ['[::1]', '[::1]', undefined],
    ['shop.example', 'shop.example', undefined],
  ] as const) {
    it(`apply to the SERVER span of a request for ${host}: server.port ${port ?? 'not said'}`, async () => {
      const { attributes } = await spanOf(`GET /app HTTP/1.1\r\nHost: ${host}`)
      assert.equal(attributes['server.address'], address)
      assert.equal(attributes['server.port'] === undefined ? undefined : Number(attributes['server.port']), port)
    })
  }

  for (const [target, path] of [
    ['/a/../b?token=very-secret', '/a/../b'],
    ['/a%2fb#very-secret', '/a%2fb'],
    ['http://user:very-secret@shop.example/x', '/x'],
    ['ftp://user:very-secret@shop.example/x', '/x'],
    [`/../${'x'.repeat(3_000)}`, `/../${'x'.repeat(1_020)}`],
  ] as const) {
    it(`apply to url.path of a refused request, bounded and without secrets: ${target.slice(0, 40)}`, async () => {
      const span = await spanOf(`GET ${target} HTTP/1.1\r\nHost: shop.example:8080`)
      assert.equal(span.attributes['http.response.status_code'], 400)
      assert.equal(span.attributes['url.path'], path)
      assert.equal(span.attributes['server.address'], 'shop.example')
      assert.doesNotMatch(JSON.stringify(span), /very-secret/)
      const line = await gateway.process.waitForLog('the line', entry => entry['trace_id'] === span.traceId)
      assert.equal(line['path'], path)
    })
  }

  it('make a refusal with 5xx an error of its span, but not a fault', async () => {
    const { status, attributes, events } = await spanOf('GET /closed HTTP/1.1\r\nHost: a')
    assert.deepEqual(
      [status.code, attributes['error.type'], attributes['gateway.outcome'], events.length],
      [2, 'maintenance', 'refusal', 0],
    )
  })

  it('do not make a refusal with 4xx an error of its span', async () => {
    const { status, attributes } = await spanOf('GET /nowhere HTTP/1.1\r\nHost: a')
    assert.deepEqual([status.code, attributes['error.type']], [0, undefined])
  })

  it('require a version and the schema of their names on scopes', async () => {
    await spanOf('GET /app HTTP/1.1\r\nHost: a')
    await until(() => receiver.metrics.length > 0 && receiver.spans.length > 0, { what: 'spans and metrics' })
    const own = [...receiver.scopes].filter(scope => scope.startsWith('myesi-gateway'))
    assert.ok(own.length >= 2, own.join('\n'))
    for (const scope of own) {
      assert.match(
        scope,
        /^myesi-gateway(?:\/process)? \d+\.\d+\.\d+\S* https:\/\/opentelemetry\.io\/schemas\/1\.\d+\.0$/,
      )
    }
  })

  it('add their names to log records, in addition to those of the log line', async () => {
    const { traceId } = await spanOf('GET /closed HTTP/1.1\r\nHost: a')
    const { attributes } = await until(() => receiver.logs.find(record => record.traceId === traceId), {
      what: 'the log record',
    })
    assert.deepEqual(
      ['http.request.method', 'url.path', 'http.route', 'gateway.outcome', 'gateway.reason', 'client.address'].map(
        name => attributes[name],
      ),
      ['GET', '/closed', '/closed', 'refusal', 'maintenance', '127.0.0.1'],
    )
    assert.equal(Number(attributes['http.response.status_code']), 503)
    assert.deepEqual([attributes['method'], attributes['path']], ['GET', '/closed'])
  })

  it('define all exported names, except the gateway’s own and those in docs/telemetry.md', async () => {
    await spanOf('GET /app HTTP/1.1\r\nHost: a:1\r\nUser-Agent: b')
    await spanOf('PROPFIND /nowhere HTTP/1.1\r\nHost: a')
    const seen = await until(
      () => {
        const metrics = receiver.metrics.map(({ name }) => name)
        return metrics.includes('http.client.request.duration') && receiver.logs.length > 0 ? metrics : undefined
      },
      { what: 'the metrics of requests' },
    )
    const attributes = [
      ...receiver.resources,
      ...receiver.spans.map(span => span.attributes),
      ...receiver.metrics.flatMap(({ points }) => points),
    ].flatMap(set => Object.keys(set))
    const known = knownNames()
    const unknown = [...new Set([...seen, ...attributes])].filter(
      name => !known.has(name) && !name.startsWith('gateway.'),
    )
    assert.deepEqual(
      unknown.filter(name => !documented().includes(name)),
      [],
    )
  })

  it('define all constants of the gateway, except the gateway’s own', () => {
    const known = knownNames()
    const names = Object.entries(semconv).filter(([constant]) => /^(?:ATTR|METRIC)_/.test(constant))
    for (const [constant, name] of names) {
      assert.ok(known.has(name) || String(name).startsWith('gateway.'), `${constant} = ${String(name)}`)
    }
    // The conventions must not define a name that the gateway calls its own.
    const taken = [...known].filter(name => typeof name === 'string' && name.startsWith('gateway.'))
    assert.deepEqual(taken, [])
  })

  it('leave no name of the gateway’s own undocumented in docs/telemetry.md', () => {
    const docs = telemetryDocs()
    const own = Object.values(semconv).filter(name => typeof name === 'string' && name.startsWith('gateway.'))
    const missing = own.filter(
      name => !docs.includes(String(name)) && !docs.includes(String(name).replaceAll('.', '_')),
    )
    assert.deepEqual(missing, [])
  })

  it('are extended by the time that a request waited for a blocked event loop', async () => {
    const client = await openRaw(gateway.port)
    gateway.process.signal('SIGSTOP')
    client.send('GET /app?waited HTTP/1.1\r\nHost: waited.example\r\nConnection: close\r\n\r\n')
    await pass(700) // the test measures this time itself
    gateway.process.signal('SIGCONT')
    const line = await gateway.process.waitForLog('the line', entry => Number(entry['event_loop_delay_ms']) >= 500)
    assert.ok(Number(line['duration_ms']) < Number(line['event_loop_delay_ms']), JSON.stringify(line))
    const span = (await openTrace(gateway.opsUrl, String(line['trace_id'])))!.find(({ kind }) => kind === 2)
    assert.ok(Number(span?.attributes['gateway.event_loop.delay']) >= 0.5, JSON.stringify(span?.attributes))
    client.destroy()
  })
})
