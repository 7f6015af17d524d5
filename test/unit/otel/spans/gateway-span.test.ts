import assert from 'node:assert/strict'
import { createTraceState, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api'
import type { Context, Span, SpanContext, Tracer } from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { TracerProvider, type ReadableSpan, type SpanProcessor } from '@opentelemetry/sdk-trace'
import { createSampler, headSampler } from '../../../../otel/sdk/sampling/sampler'
import { GatewaySpan } from '../../../../otel/sdk/spans/gateway-span'
import { GATEWAY_SCOPE, withGatewayTracer } from '../../../../otel/sdk/spans/gateway-tracer'
import { spanLimits } from '../../../../otel/sdk/spans/span-limits'

interface Tracers {
  readonly own: Tracer
  readonly sdk: Tracer
  readonly started: readonly ReadableSpan[]
  readonly ended: readonly ReadableSpan[]
}

/** Both kinds, on the same sampler, limits and processor. */
function newTracers(environment: Record<string, string> = {}, sampling = { name: 'always_on', ratio: 1 }): Tracers {
  const started: ReadableSpan[] = []
  const ended: ReadableSpan[] = []
  const processor: SpanProcessor = {
    onStart: span => started.push(span),
    onEnd: span => ended.push(span),
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  }
  const sampler = createSampler(headSampler(sampling))
  const limits = spanLimits(environment)
  const resource = resourceFromAttributes({ 'service.name': 'myesi-api' })
  const sdk = new TracerProvider({ resource, sampler, spanLimits: limits, spanProcessors: [processor] })
  const provider = withGatewayTracer(sdk, sampler, { resource, scope: { name: GATEWAY_SCOPE }, limits, processor })
  return { own: provider.getTracer(GATEWAY_SCOPE), sdk: sdk.getTracer(GATEWAY_SCOPE), started, ended }
}

/** What a reader sees of a span, but for ids and times. */
function seen(span: Span): object {
  const readable = span as Span & ReadableSpan
  const { name, kind, status, attributes, events, links, ended, resource, instrumentationScope } = readable
  const { droppedAttributesCount, droppedEventsCount, droppedLinksCount } = readable
  return {
    name,
    kind,
    status,
    attributes,
    links,
    ended,
    droppedAttributesCount,
    droppedEventsCount,
    droppedLinksCount,
    events: events.map(event => ({ ...event, time: undefined })),
    resource: resource.attributes,
    scope: instrumentationScope.name,
    isRecording: span.isRecording(),
  }
}

const STORIES: Readonly<Record<string, { environment?: Record<string, string>; tell: (span: Span) => void }>> = {
  'that has only begun': { tell: () => {} },
  'that went well': {
    tell: span => {
      span.setAttributes({ 'http.route': '/orders/:id', 'http.response.status_code': 200, 'gateway.stream': undefined })
      span.setAttribute('url.path', '/a').setAttribute('url.path', '/b').updateName('GET /orders/:id').end()
    },
  },
  'that failed': {
    tell: span => {
      const error = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
      span.setStatus({ code: SpanStatusCode.ERROR, message: 'Nothing listens' })
      span.recordException(error)
      span.recordException(new TypeError('without a code'))
      span.end()
    },
  },
  'whose status is said again': {
    tell: span => {
      span.setStatus({ code: SpanStatusCode.ERROR }).setStatus({ code: SpanStatusCode.UNSET })
      span.setStatus({ code: SpanStatusCode.OK }).setStatus({ code: SpanStatusCode.ERROR })
    },
  },
  'that is over': {
    tell: span => {
      span.end()
      span.setAttribute('late', true).setAttributes({ later: 1 }).updateName('late')
      span.setStatus({ code: SpanStatusCode.ERROR }).addEvent('late')
      span.recordException(new Error('late'))
      span.end()
    },
  },
  'with long texts': {
    tell: span => {
      span.setAttributes({ path: 'x'.repeat(5_000), list: ['y'.repeat(5_000), 'z'], map: { a: 'z'.repeat(5_000) } })
    },
  },
  'with a limit on texts': {
    environment: { OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '3', OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: '5' },
    tell: span => span.setAttribute('path', '/orders').addEvent('event', { path: '/orders' }),
  },
  'with a limit of nothing on texts, which is none': {
    environment: { OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '0' },
    tell: span => span.setAttribute('path', 'x'.repeat(5_000)),
  },
  'with more attributes than it may have': {
    environment: { OTEL_ATTRIBUTE_COUNT_LIMIT: '2' },
    tell: span => span.setAttributes({ a: 1, b: 2, c: 3, d: 4 }).setAttribute('a', 5),
  },
  'with more events than it may have': {
    environment: { OTEL_SPAN_EVENT_COUNT_LIMIT: '2', OTEL_SPAN_ATTRIBUTE_PER_EVENT_COUNT_LIMIT: '1' },
    tell: span => {
      for (const name of ['first', 'second', 'third']) span.addEvent(name, { a: name, b: 2 })
    },
  },
  'that may have no events': {
    environment: { OTEL_SPAN_EVENT_COUNT_LIMIT: '0' },
    tell: span => span.addEvent('first'),
  },
}

describe('a span of the gateway reads like one of the SDK', () => {
  for (const [what, { environment = {}, tell }] of Object.entries(STORIES)) {
    it(what, () => {
      const { own, sdk } = newTracers(environment)
      const [ours, theirs] = [own, sdk].map(tracer => tracer.startSpan('GET', { kind: SpanKind.SERVER }, ROOT_CONTEXT))
      assert.ok(ours instanceof GatewaySpan)
      for (const span of [ours, theirs]) tell(span as Span)
      assert.deepEqual(withoutStacks(seen(ours)), withoutStacks(seen(theirs as Span)))
    })
  }

  it('in what it says of time', async () => {
    const { own, sdk } = newTracers()
    const before = Date.now()
    const spans = [own, sdk].map(tracer => tracer.startSpan('GET', {}, ROOT_CONTEXT) as Span & ReadableSpan)
    for (const { endTime, duration } of spans) assert.deepEqual([endTime, duration], [[0, 0], [-1, -1]]) // prettier-ignore
    await new Promise(resolve => setTimeout(resolve, 20))
    for (const span of spans) span.end()
    const [[ours, theirs], after] = [spans.map(timesOf), Date.now()]
    for (const times of [ours, theirs]) {
      assert.ok(times && times.startMs >= before && times.endMs <= after + 1, JSON.stringify({ times, before, after }))
      assert.ok(Math.abs(times.endMs - times.startMs - times.durationMs) < 0.001)
    }
    assert.ok(Math.abs((ours?.durationMs ?? 0) - (theirs?.durationMs ?? 0)) < 15)
  })

  it('to the processor, once at its start and once at its end', () => {
    const { own, started, ended } = newTracers()
    const span = own.startSpan('GET', {}, ROOT_CONTEXT)
    assert.deepEqual([started, ended], [[span], []])
    span.end()
    span.end()
    assert.deepEqual([started, ended], [[span], [span]])
  })
})

describe('the trace of a span of the gateway', () => {
  const REMOTE: SpanContext = {
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    spanId: '00f067aa0ba902b7',
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
    traceState: createTraceState('a=1'),
  }
  const inTrace = (spanContext: SpanContext): Context => trace.setSpanContext(ROOT_CONTEXT, spanContext)

  it('is a new one without a caller, and with one that makes no sense', () => {
    const { own } = newTracers()
    const invalid = inTrace({ ...REMOTE, traceId: '0'.repeat(32) })
    const spans = [ROOT_CONTEXT, ROOT_CONTEXT, invalid].map(context => own.startSpan('GET', {}, context))
    const ids = spans.flatMap(span => [span.spanContext().traceId, span.spanContext().spanId])
    assert.equal(new Set(ids).size, 6)
    for (const [index, id] of ids.entries()) assert.match(id, index % 2 === 0 ? /^[0-9a-f]{32}$/ : /^[0-9a-f]{16}$/)
    for (const span of spans) assert.equal((span as Span & ReadableSpan).parentSpanContext, undefined)
  })

  it("is the caller's, with its state", () => {
    const span = newTracers().own.startSpan('GET', {}, inTrace(REMOTE)) as Span & ReadableSpan
    const { traceId, spanId, traceState, isRemote } = span.spanContext()
    assert.deepEqual([traceId, traceState?.serialize(), isRemote], [REMOTE.traceId, 'a=1', undefined])
    assert.notEqual(spanId, REMOTE.spanId)
    assert.equal(span.parentSpanContext, REMOTE)
  })

  it('goes on in its children, those of the SDK included', () => {
    const { own, sdk } = newTracers()
    const parent = own.startSpan('GET', {}, inTrace(REMOTE))
    for (const tracer of [own, sdk]) {
      const child = tracer.startSpan('child', {}, trace.setSpan(ROOT_CONTEXT, parent)) as Span & ReadableSpan
      const { traceId, traceState } = child.spanContext()
      assert.deepEqual([traceId, traceState?.serialize()], [REMOTE.traceId, 'a=1'])
      assert.equal(child.parentSpanContext, parent.spanContext())
    }
  })

  const SAMPLERS = [
    ['always_on', 1],
    ['always_off', 1],
    ['traceidratio', 0.5],
    ['parentbased_always_on', 1],
    ['parentbased_always_off', 1],
    ['parentbased_traceidratio', 0.5],
  ] as const
  for (const [name, ratio] of SAMPLERS) {
    it(`is sampled as the SDK would sample it, children included, with ${name}`, () => {
      const { own, sdk } = newTracers({}, { name, ratio })
      for (let i = 0; i < 200; i++) {
        const traceId = i.toString(16).padStart(8, 'f').padEnd(32, '7')
        const caller = inTrace({ ...REMOTE, traceId, traceFlags: i % 2 })
        const flags = [own, sdk].map(tracer => {
          const server = tracer.startSpan('GET', {}, caller)
          const client = tracer.startSpan('GET', {}, trace.setSpan(caller, server))
          return [server.spanContext().traceFlags, client.spanContext().traceFlags]
        })
        assert.deepEqual(flags[0], flags[1], `trace ${traceId}`)
      }
    })
  }

  it('is of the SDK where a span is asked for that is unusual, and for all other scopes', () => {
    const { own, sdk } = newTracers()
    for (const options of [{ attributes: { a: 1 } }, { links: [] }, { startTime: 1 }, { root: true }]) {
      assert.equal(own.startSpan('GET', options).constructor, sdk.startSpan('GET').constructor)
    }
    own.startActiveSpan('GET', span => assert.equal(span.constructor, sdk.startSpan('GET').constructor))
  })
})

function timesOf({ startTime, endTime, duration }: ReadableSpan): Record<'startMs' | 'endMs' | 'durationMs', number> {
  const [startMs, endMs, durationMs] = [startTime, endTime, duration].map(([s, ns]) => s * 1e3 + ns / 1e6)
  return { startMs, endMs, durationMs } as Record<'startMs' | 'endMs' | 'durationMs', number>
}

/** Of two errors the stacks are the same text only where they were made in the same place. */
function withoutStacks(span: object): unknown {
  return JSON.parse(JSON.stringify(span), (key, value: unknown) => (key === 'exception.stacktrace' ? 'a stack' : value))
}
