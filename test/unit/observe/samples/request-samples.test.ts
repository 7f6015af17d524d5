import assert from 'node:assert/strict'
import { ROOT_CONTEXT, trace, TraceFlags } from '@opentelemetry/api'
import { Exchange } from '../../../../src/exchange/exchange'
import {
  MAX_ANSWERED,
  RequestSamples,
  SAMPLE_SLOT_MS,
  type SampleGroup,
} from '../../../../src/observe/samples/request-samples'
import { toRoute } from '../../../../src/routing/route'

const EVER = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER }

describe('the samples of recent requests', () => {
  let now: number
  let samples: RequestSamples

  beforeEach(() => {
    now = 1_000 * SAMPLE_SLOT_MS
    samples = new RequestSamples({ slowMs: 1_000, now: () => now })
  })

  it('tell good requests from slow, recovered, limited and failed ones', () => {
    samples.note(exchangeOf('/r'))
    samples.note(exchangeOf('/r', { startedAt: performance.now() - 1_500 }))
    samples.note(
      exchangeOf('/r', { attempts: 2, failedTarget: 'http://10.0.0.7:9001', target: 'http://10.0.0.8:9001' }),
    )
    samples.note(exchangeOf('/r', { outcome: 'fault', reason: 'reset', target: 'http://10.0.0.7:9001', attempts: 1 }))
    samples.note(exchangeOf('/r', { outcome: 'refusal', reason: 'limited' }))
    samples.note(exchangeOf('/r', { outcome: 'client_closed', reason: 'client_closed' }))
    const groups = samples.read(EVER)
    assert.deepEqual(
      groups.map(({ kind, seen, samples: [sample] }) => [kind, seen, sample?.target]),
      [
        ['good', 1, undefined],
        ['slow', 1, undefined],
        ['recovered', 1, '10.0.0.7:9001'],
        ['fault', 1, '10.0.0.7:9001'],
        ['limited', 1, undefined],
        ['refusal', 1, undefined],
      ],
    )
  })

  it('name the trace of a request if the upstream was told to record it', () => {
    const span = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) }
    for (const traceFlags of [TraceFlags.SAMPLED, TraceFlags.NONE]) {
      samples.note(exchangeOf('/r', { context: trace.setSpanContext(ROOT_CONTEXT, { ...span, traceFlags }) }))
    }
    assert.deepEqual(
      samples.read(EVER).flatMap(group => group.samples.map(({ traceId }) => traceId)),
      [span.traceId, undefined],
    )
  })

  it('never call a stream slow', () => {
    samples.note(exchangeOf('/r', { startedAt: performance.now() - 5_000, stream: 'event_stream' }))
    assert.deepEqual(
      samples.read(EVER).map(({ kind }) => kind),
      ['good'],
    )
  })

  it('say how many requests they stand for, slot by slot', () => {
    times(300, '/r')
    now += SAMPLE_SLOT_MS
    times(7, '/r')
    const [before, after] = samples.read(EVER) as [SampleGroup, SampleGroup]
    assert.deepEqual([before.seen, before.samples.length], [300, 50])
    assert.deepEqual([after.seen, after.samples.length], [7, 7])
    assert.deepEqual(samples.read({ fromMs: now, toMs: now + 1 }), [after])
    assert.deepEqual(samples.read({ ...EVER, route: '/other' }), [])
  })

  it('are forgotten after a quarter of an hour, also when no request comes', () => {
    times(3, '/r')
    now += 31 * SAMPLE_SLOT_MS
    assert.deepEqual(samples.read(EVER), [])
    times(1, '/r')
    assert.equal(samples.read(EVER).length, 1)
  })

  it('are bounded with any number of routes, and so is an answer', () => {
    for (let slot = 0; slot < 11; slot++) {
      for (let route = 0; route < 400; route++) times(60, `/r${route}`)
      now += SAMPLE_SLOT_MS
    }
    const groups = samples.read(EVER)
    const sizes = groups.map(group => group.samples.length)
    assert.ok(sizes.reduce((a, b) => a + b) < MAX_ANSWERED * 1.1)
    assert.ok(sizes.every(size => size > 0))
    const stoodFor = groups.reduce((sum, { weight, samples: { length } }) => sum + weight * length, 0)
    const all = samples.read({ ...EVER, route: '/r0' }).length * 400 * 60
    assert.ok(Math.abs(stoodFor / all - 1) < 0.1, `${stoodFor} of ${all}`)
    const one = samples.read({ ...EVER, route: '/r0' })
    assert.ok(one.length >= 5 && one.length < 9, `${one.length} slots are left`)
  })

  it('keep the few failing ones when an answer is thinned, and stand for as many requests as before', () => {
    const fault = { outcome: 'fault', reason: 'reset', target: 'http://10.0.0.7:9001', attempts: 1 }
    for (let slot = 0; slot < 10; slot++) {
      times(40, '/r')
      for (let i = 0; i < 4; i++) samples.note(exchangeOf('/r', fault))
      now += SAMPLE_SLOT_MS
    }
    const groups = samples.read({ ...EVER, limit: 120 })
    const of = (kind: string): SampleGroup[] => groups.filter(group => group.kind === kind)
    const standFor = (some: readonly SampleGroup[]): number =>
      some.reduce((sum, { weight, samples: { length } }) => sum + weight * length, 0)
    assert.deepEqual(
      of('fault').map(({ weight, samples: { length } }) => [length, weight]),
      Array.from({ length: 10 }, () => [4, 1]),
    )
    assert.ok(Math.abs(standFor(of('good')) - 400) < 60, `${standFor(of('good'))} of 400`)
    assert.equal(
      samples.read({ ...EVER, limit: 40 }).reduce((sum, { kind }) => sum + Number(kind === 'good'), 0),
      10,
    )
  })

  function times(count: number, path: string): void {
    for (let i = 0; i < count; i++) samples.note(exchangeOf(path))
  }
})

const routes = new Map<string, ReturnType<typeof toRoute>>()

function exchangeOf(path: string, changes: object = {}): Exchange {
  const request = { method: 'GET', headers: {}, httpVersion: '1.1', socket: {} }
  const response = { statusCode: 200, getHeader: () => undefined, hasHeader: () => false }
  const origin = {
    clientAddress: '192.0.2.7',
    peerIsTrusted: false,
    path,
    query: '',
    host: 'example.com',
    context: ROOT_CONTEXT,
  }
  const exchange = new Exchange(request as never, response as never, origin as never)
  let route = routes.get(path)
  if (route === undefined) {
    const match = { path, exact: false, host: undefined, methods: undefined, headers: [] }
    routes.set(path, (route = toRoute({ name: path.slice(1), match, upstream: 'u' })))
  }
  return Object.assign(exchange, { route, ...changes })
}
