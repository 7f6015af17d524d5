import assert from 'node:assert/strict'
import { listTraces, openTrace } from '../support/ops-port'
import { rawExchange } from '../support/raw-http'
import { launchGateway, startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN_ID = '00f067aa0ba902b7'
const TRACEPARENT = `traceparent: 00-${TRACE_ID}-${SPAN_ID}-01`
const TRACE_FIELDS = /^(?:traceparent|tracestate|baggage|b3|x-b3-.*)$/

/** Name and value of each trace field that the upstream received, in order, with duplicates. */
type Fields = readonly (readonly [string, string])[]

describe('the trace context of a caller', () => {
  let upstream: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    upstream = await startUpstream()
  })

  after(async () => {
    await upstream.stop()
  })

  async function start({ entrypoint = {}, env = {} }: { entrypoint?: object; env?: NodeJS.ProcessEnv }): Promise<void> {
    gateway = await startGateway({ config: configWith(entrypoint), env })
  }

  function configWith(entrypoint: object): string {
    return JSON.stringify(proxyTo(upstream.url, { entrypoint }))
  }

  /** Sends a request with these header lines and returns the trace fields that the upstream received. */
  async function send(...lines: readonly string[]): Promise<Fields> {
    const head = ['GET /app HTTP/1.1', 'Host: gateway', 'Connection: close', ...lines, '', '']
    const answer = await rawExchange(gateway.port, head.join('\r\n'))
    assert.match(answer, /^HTTP\/1\.1 200 /)
    const { rawHeaders } = upstream.requests.at(-1)!
    const fields: [string, string][] = []
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i]!.toLowerCase()
      if (TRACE_FIELDS.test(name)) fields.push([name, rawHeaders[i + 1]!])
    }
    return fields
  }

  function valueOf(fields: Fields, name: string): string | undefined {
    const values = fields.filter(([field]) => field === name).map(([, value]) => value)
    assert.ok(values.length <= 1, `${name} came ${values.length} times: ${values.join(' and ')}`)
    return values[0]
  }

  /** A new trace of the gateway, with nothing from the caller. */
  function assertNew(fields: Fields): void {
    assert.deepEqual(
      fields.map(([name]) => name),
      ['traceparent'],
    )
    const [, value] = fields[0]!
    assert.match(value, /^00-[0-9a-f]{32}-[0-9a-f]{16}-03$/)
    assert.ok(!value.includes(TRACE_ID))
  }

  describe('by default', () => {
    before(() => start({}))
    after(() => gateway.stop())

    it('is continued, and the upstream gets the gateway’s span as parent', async () => {
      const fields = await send(TRACEPARENT, 'tracestate: vendor=1,other=2', 'baggage: tenant=a,user=b')
      assert.deepEqual(
        fields.map(([name]) => name).sort((a, b) => a.localeCompare(b)),
        ['baggage', 'traceparent', 'tracestate'],
      )
      const [, traceId, spanId, flags] = valueOf(fields, 'traceparent')!.split('-')
      assert.deepEqual([traceId, flags], [TRACE_ID, '01'])
      assert.notEqual(spanId, SPAN_ID)
      assert.equal(valueOf(fields, 'tracestate'), 'vendor=1,other=2')
      assert.equal(valueOf(fields, 'baggage'), 'tenant=a,user=b')
      const spans = await until(() => openTrace(gateway.opsUrl, TRACE_ID), { what: 'the trace' })
      const [server, client] = [2, 3].map(kind => spans.find(span => span.kind === kind))
      assert.equal(server?.parentSpanId, SPAN_ID)
      assert.equal(client?.parentSpanId, server.spanId)
      assert.equal(client.spanId, spanId)
    })

    for (const flags of ['02', '03']) {
      it(`keeps its random flag: ${flags}`, async () => {
        const fields = await send(TRACEPARENT.replace(/01$/, flags))
        assert.match(valueOf(fields, 'traceparent')!, new RegExp(`^00-${TRACE_ID}-[0-9a-f]{16}-${flags}$`))
      })
    }

    it('keeps its random flag together with baggage', async () => {
      const fields = await send(TRACEPARENT.replace(/01$/, '03'), 'baggage: tenant=a')
      assert.match(valueOf(fields, 'traceparent')!, new RegExp(`^00-${TRACE_ID}-[0-9a-f]{16}-03$`))
    })

    it('loses its whole tracestate if a part of it is invalid', async () => {
      const fields = await send(TRACEPARENT, 'tracestate: foo@=1,bar=2')
      assert.deepEqual(
        fields.map(([name]) => name),
        ['traceparent'],
      )
    })

    it('keeps its decision not to sample', async () => {
      const fields = await send(TRACEPARENT.replace(/01$/, '00'))
      assert.match(valueOf(fields, 'traceparent')!, new RegExp(`^00-${TRACE_ID}-[0-9a-f]{16}-00$`))
    })

    for (const [what, line] of [
      ['the trace id is all zeros', `traceparent: 00-${'0'.repeat(32)}-${SPAN_ID}-01`],
      ['the span id is all zeros', `traceparent: 00-${TRACE_ID}-${'0'.repeat(16)}-01`],
      ['it has capitals', `traceparent: 00-${TRACE_ID.toUpperCase()}-${SPAN_ID}-01`],
      ['it is too short', `traceparent: 00-${TRACE_ID}-01`],
      ['it has more than version 00 allows', `${TRACEPARENT}-more`],
      ['its version is ff', TRACEPARENT.replace(': 00', ': ff')],
      ['it is empty', 'traceparent: '],
      ['it comes twice', `${TRACEPARENT}\r\ntraceparent: 00-${'1'.repeat(32)}-${SPAN_ID}-01`],
      ['it is no traceparent at all', 'traceparent: \u00e9"><script>'],
    ] as const) {
      it(`is not continued when ${what}, and its tracestate is dropped`, async () => {
        assertNew(await send(line, 'tracestate: vendor=1'))
      })
    }

    it('is not started by a tracestate alone', async () => {
      assertNew(await send('tracestate: vendor=1', 'tracestate: other=2'))
    })

    it('is joined from several tracestate fields', async () => {
      assert.equal(valueOf(await send(TRACEPARENT, 'tracestate: a=1', 'Tracestate: b=2'), 'tracestate'), 'a=1,b=2')
    })

    it('has no tracestate if all of its members are invalid', async () => {
      const fields = await send(TRACEPARENT, 'tracestate: =,;,not valid')
      assert.deepEqual(
        fields.map(([name]) => name),
        ['traceparent'],
      )
    })

    it('may consist of baggage only', async () => {
      const fields = await send('baggage: tenant=a')
      assert.equal(valueOf(fields, 'baggage'), 'tenant=a')
      assert.match(valueOf(fields, 'traceparent')!, /^00-/)
    })

    it('in Zipkin’s format is not forwarded next to the gateway’s', async () => {
      assertNew(
        await send(
          `b3: ${TRACE_ID}-${SPAN_ID}-1`,
          `X-B3-TraceId: ${TRACE_ID}`,
          `X-B3-SpanId: ${SPAN_ID}`,
          'X-B3-ParentSpanId: 05e3ac9a4f6e3b90',
          'X-B3-Sampled: 1',
          'X-B3-Flags: 1',
        ),
      )
    })

    it('cannot be stripped from the upstream request by a Connection field', async () => {
      const fields = await send('Connection: traceparent, baggage', TRACEPARENT, 'baggage: tenant=a')
      assert.match(valueOf(fields, 'traceparent')!, new RegExp(TRACE_ID))
    })

    it('is marked in the list of kept traces', async () => {
      const listed = await listTraces(gateway.opsUrl, `traceId=${TRACE_ID}`)
      assert.ok(listed.length >= 1)
      assert.ok(listed.every(({ traceId }) => traceId === TRACE_ID))
    })
  })

  describe('with traceContext: none', () => {
    before(() => start({ entrypoint: { traceContext: 'none', trustedProxies: ['127.0.0.1'] } }))
    after(() => gateway.stop())

    it('is not continued, and no part of it reaches the upstream', async () => {
      assertNew(await send(TRACEPARENT, 'tracestate: vendor=1', 'baggage: tenant=a', `b3: ${TRACE_ID}-${SPAN_ID}-1`))
    })
  })

  describe('with traceContext: trusted', () => {
    after(() => gateway.stop())

    it('is continued for trusted proxies only', async () => {
      await start({ entrypoint: { traceContext: 'trusted', trustedProxies: ['127.0.0.0/8'] } })
      assert.match(valueOf(await send(TRACEPARENT, 'baggage: a=1'), 'traceparent')!, new RegExp(TRACE_ID))
      await gateway.stop()
      await start({ entrypoint: { traceContext: 'trusted', trustedProxies: ['10.0.0.0/8'] } })
      assertNew(await send(TRACEPARENT, 'baggage: a=1', 'X-Forwarded-For: 10.0.0.1'))
    })
  })

  describe('with OTEL_PROPAGATORS=b3', () => {
    before(() => start({ env: { OTEL_PROPAGATORS: 'b3' } }))
    after(() => gateway.stop())

    it('is read from one field and sent in one', async () => {
      const fields = await send(`b3: ${TRACE_ID}-${SPAN_ID}-1`)
      assert.match(valueOf(fields, 'b3')!, new RegExp(`^${TRACE_ID}-(?!${SPAN_ID})[0-9a-f]{16}-1$`))
      assert.equal(fields.length, 1)
    })

    it('is read from several fields and sent in one', async () => {
      const fields = await send(`X-B3-TraceId: ${TRACE_ID}`, `X-B3-SpanId: ${SPAN_ID}`, 'X-B3-Sampled: 1')
      assert.match(valueOf(fields, 'b3')!, new RegExp(`^${TRACE_ID}-[0-9a-f]{16}-1$`))
      assert.equal(fields.length, 1)
    })

    it('is not read from a traceparent, which is dropped', async () => {
      const fields = await send(TRACEPARENT, 'tracestate: vendor=1')
      assert.deepEqual(
        fields.map(([name]) => name),
        ['b3'],
      )
      assert.doesNotMatch(valueOf(fields, 'b3')!, new RegExp(TRACE_ID))
    })
  })

  describe('with TELEMETRY_BAGGAGE_KEYS', () => {
    before(() => start({ env: { TELEMETRY_BAGGAGE_KEYS: 'tenant, app.*' } }))
    after(() => gateway.stop())

    it('passes on the listed baggage keys', async () => {
      const fields = await send(TRACEPARENT, 'baggage: tenant=a,email=x%40y,app.one=1')
      assert.equal(valueOf(fields, 'baggage'), 'tenant=a,app.one=1')
    })

    it('drops the whole baggage if none of its keys is listed', async () => {
      assert.equal(valueOf(await send(TRACEPARENT, 'baggage: email=x%40y'), 'baggage'), undefined)
    })
  })

  describe('with OTEL_PROPAGATORS=xray', () => {
    before(() => start({ env: { OTEL_PROPAGATORS: 'xray' } }))
    after(() => gateway.stop())

    it('is read from and sent in the X-Ray field', async () => {
      const root = `Root=1-${TRACE_ID.slice(0, 8)}-${TRACE_ID.slice(8)}`
      await send(`X-Amzn-Trace-Id: ${root};Parent=${SPAN_ID};Sampled=1`)
      const { headers } = upstream.requests.at(-1)!
      assert.match(
        String(headers['x-amzn-trace-id']),
        new RegExp(`^${root};Parent=(?!${SPAN_ID})[0-9a-f]{16};Sampled=1$`),
      )
    })
  })

  describe('with OTEL_PROPAGATORS=tracecontext,b3multi', () => {
    before(() => start({ env: { OTEL_PROPAGATORS: 'tracecontext,b3multi' } }))
    after(() => gateway.stop())

    it('is sent in both formats with the same ids', async () => {
      const fields = await send(`X-B3-TraceId: ${TRACE_ID}`, `X-B3-SpanId: ${SPAN_ID}`, 'X-B3-Sampled: 1')
      const spanId = valueOf(fields, 'x-b3-spanid')
      assert.equal(valueOf(fields, 'x-b3-traceid'), TRACE_ID)
      assert.equal(valueOf(fields, 'traceparent'), `00-${TRACE_ID}-${spanId}-01`)
    })
  })

  for (const [title, env] of [
    ['without telemetry', { OTEL_SDK_DISABLED: 'true' }],
    ['with OTEL_PROPAGATORS=none', { OTEL_PROPAGATORS: 'none' }],
  ] as const) {
    describe(title, () => {
      before(() => start({ env }))
      after(() => gateway.stop())

      it('is forwarded unchanged', async () => {
        const sent = [TRACEPARENT, 'tracestate: vendor=1', 'baggage: tenant=a', `b3: ${TRACE_ID}-${SPAN_ID}-1`]
        const fields = await send(...sent)
        assert.deepEqual(
          fields.map(([name, value]) => `${name}: ${value}`),
          sent,
        )
      })
    })
  }

  it('cannot be refused with the stock instrumentations: the gateway reports that and does not start', async () => {
    const { child } = launchGateway({
      config: configWith({ traceContext: 'none' }),
      env: { TELEMETRY_HTTP_INSTRUMENTATION: 'stock' },
    })
    assert.deepEqual(await child.exited, { code: 78, signal: null })
    assert.match(child.lines.join('\n'), /TELEMETRY_HTTP_INSTRUMENTATION[^]*entrypoint\.traceContext is "none"/)
  })
})
