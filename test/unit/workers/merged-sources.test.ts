import assert from 'node:assert/strict'
import type { TargetState, UpstreamState } from '../../../src/operations/sources'
import type { Upstream } from '../../../src/upstream/upstream'
import { mergedSources } from '../../../src/workers/merged-sources'

/** Names of fields at each depth, with lists as their first item. */
function fieldsOf(value: unknown): unknown {
  if (Array.isArray(value)) return fieldsOf(value[0])
  if (typeof value !== 'object' || value === null) return ''
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, fieldsOf(field)]))
}

const traffic = {
  requests: 3,
  faults: 1,
  refusals: 1,
  clientClosed: 0,
  p50Ms: 5,
  p95Ms: null,
  p99Ms: 9,
  perSecond: 0.5,
  lately: { requests: 2, faults: 1 },
}
const client = {
  client: '127.0.0.1',
  connections: 1,
  waitingCalls: 2,
  eventStreams: 0,
  unreadResponses: 0,
  servedLast: false,
}
/** Has every field, so that one that is lost is seen. */
const target: Required<TargetState> = {
  target: 'http://a:1',
  protocol: 'h2',
  healthy: true,
  circuit: 'closed',
  healthCheck: { healthy: true, lastFailure: null },
  name: { addresses: ['127.0.0.1'], lastFailure: null },
  activeCalls: 1,
  calls: traffic,
  connections: { open: 2, free: 1, waitingCalls: 0 },
  clients: [client],
}
const upstream: Required<UpstreamState> = {
  name: 'app',
  panicking: false,
  affinity: { cookie: 'c' },
  sources: [{ source: 'dns', targets: 1, lastFailure: null }],
  targets: [target],
}

type Described = ReturnType<Upstream['describe']>
/** Does not compile when an upstream tells of a field that the ops port does not know. */
const KNOWN: Readonly<Record<keyof Described, keyof UpstreamState>> = {
  name: 'name',
  panicking: 'panicking',
  affinity: 'affinity',
  sources: 'sources',
  targets: 'targets',
}
const KNOWN_OF_TARGET: Readonly<Record<keyof Described['targets'][number], keyof TargetState>> = {
  target: 'target',
  protocol: 'protocol',
  healthy: 'healthy',
  circuit: 'circuit',
  healthCheck: 'healthCheck',
  name: 'name',
  activeCalls: 'activeCalls',
  calls: 'calls',
  connections: 'connections',
  clients: 'clients',
}

describe('what several workers tell', () => {
  const merged = (...upstreams: UpstreamState[]): UpstreamState | undefined =>
    mergedSources(
      upstreams.map(state => ({ upstreams: [state] })),
      () => true,
    ).upstreams()[0]

  it('has the fields of one: each has a rule', () => {
    assert.deepEqual(fieldsOf(merged(upstream, upstream)), fieldsOf(upstream))
    assert.deepEqual(Object.keys(KNOWN).sort(), Object.keys(upstream).sort())
    assert.deepEqual(Object.keys(KNOWN_OF_TARGET).sort(), Object.keys(target).sort())
  })

  it('is absent where no worker has it', () => {
    const { circuit, clients, protocol, ...few } = target
    assert.deepEqual(
      Object.keys(merged({ ...upstream, targets: [few] })?.targets[0] ?? {}).sort(),
      Object.keys(few).sort(),
    )
    assert.ok(circuit && clients && protocol)
  })

  it('is added, or is the worst of both', () => {
    const ill: TargetState = {
      ...target,
      protocol: 'auto',
      healthy: false,
      circuit: 'open',
      healthCheck: { healthy: false, lastFailure: 'status 500' },
      calls: { ...traffic, p50Ms: 7, p95Ms: 8 },
      clients: [
        { ...client, servedLast: true },
        { ...client, client: 'b', connections: 5 },
      ],
    }
    const { targets, panicking } = merged(upstream, { ...upstream, panicking: true, targets: [ill] }) ?? upstream
    assert.equal(panicking, true)
    assert.deepEqual(targets, [
      {
        ...target,
        healthy: false,
        circuit: 'open',
        healthCheck: { healthy: false, lastFailure: 'status 500' },
        activeCalls: 2,
        calls: {
          ...traffic,
          requests: 6,
          faults: 2,
          refusals: 2,
          p50Ms: 7,
          p95Ms: 8,
          perSecond: 1,
          lately: { requests: 4, faults: 2 },
        },
        connections: { open: 4, free: 2, waitingCalls: 0 },
        clients: [
          { ...client, client: 'b', connections: 5 },
          { ...client, connections: 2, waitingCalls: 4, servedLast: true },
        ],
      },
    ])
  })

  it('has the last failure of an export, and its newest success', () => {
    const pipeline = {
      signal: 'traces',
      exporter: 'otlp',
      receiver: 'http://collector',
      sent: 2,
      failed: { timeout: 1 },
      lastSuccessMs: 10,
      lastFailure: { atMs: 5, message: 'first' },
    }
    const later = {
      ...pipeline,
      failed: { refused: 1 },
      lastSuccessMs: undefined,
      lastFailure: { atMs: 6, message: 'last' },
    }
    const { pipelines, redis } = mergedSources([{ pipelines: [pipeline] }, { pipelines: [later] }], () => true)
    assert.deepEqual(pipelines(), [{ ...later, sent: 4, failed: { timeout: 1, refused: 1 }, lastSuccessMs: 10 }])
    assert.equal(redis(), undefined)
  })
})
