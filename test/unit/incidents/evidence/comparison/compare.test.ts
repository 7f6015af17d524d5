import assert from 'node:assert/strict'
import { compare } from '../../../../../src/incidents/evidence/comparison/compare'
import { redacted } from '../../../../../src/incidents/evidence/comparison/redact'
import type {
  ReplicaSamples,
  SampledGroup,
  SampledRequest,
} from '../../../../../src/incidents/evidence/comparison/sampled-requests'
import { differenceLines } from '../../../../../src/incidents/evidence/comparison/wording'

const SLOT_MS = 30_000
const AT = 1_700_000_010_000
const TARGETS = ['10.0.0.5:9001', '10.0.0.6:9001', '10.0.0.7:9001']
const BAD = '10.0.0.7:9001'
const HIDDEN = { clients: false, consumers: false, headers: [] }

describe('what failing requests have in common', () => {
  it('is said with its share of the failing and of the good requests', () => {
    const lines = linesOf([
      groupOf('good', 0, 90, each => ({ target: TARGETS[each % 3] })),
      groupOf('fault', 0, 60, () => ({ target: BAD })),
    ])
    assert.deepEqual(lines, [`all 60 failing requests went to ${BAD} (33 % of the good ones did)`])
  })

  it('is not said where failing and good requests are alike', () => {
    const alike = (each: number): Partial<SampledRequest> => ({ target: TARGETS[each % 3] })
    assert.deepEqual(linesOf([groupOf('good', 0, 90, alike), groupOf('fault', 0, 60, alike)]), [])
  })

  it('is not said of nine failing requests, however alike they are', () => {
    const groups = [
      groupOf('good', 0, 90, each => ({ target: TARGETS[each % 3] })),
      groupOf('fault', 0, 9, () => ({ target: BAD })),
    ]
    assert.deepEqual(linesOf(groups), [])
  })

  it('is held against the good ones before where all fail', () => {
    const groups = [
      groupOf('good', -4, 150, each => ({ consumer: each % 10 === 0 ? 'one' : 'other' })),
      groupOf('fault', 0, 40, () => ({ consumer: 'one' })),
    ]
    assert.deepEqual(linesOf(groups, { ...HIDDEN, consumers: true }), [
      'all 40 failing requests came from consumer one (10 % of the good ones before did)',
    ])
  })

  it('names further names of the same requests, and what was normal before', () => {
    const groups = [
      ...[-4, -3, -2, -1].map(slot =>
        groupOf('good', slot, 50, each => ({ target: TARGETS[each % 3], release: '1.4.1' })),
      ),
      groupOf('good', 0, 50, each => ({ target: TARGETS[each % 2], release: '1.4.1' })),
      groupOf('fault', 0, 40, () => ({ target: BAD, release: '1.4.2' })),
    ]
    const [line] = linesOf(groups)
    assert.equal(
      line,
      `all 40 failing requests went to ${BAD} (no good one did, 32 % of those before; the same requests: release 1.4.2)`,
    )
  })

  it('does not blame what the gateway may not repeat for the failures of a target', () => {
    const groups = [
      groupOf('good', 0, 50, each => ({ target: TARGETS[each % 2], method: each % 5 === 0 ? 'POST' : 'GET' }), 10),
      groupOf('recovered', 0, 40, () => ({ target: BAD, method: 'GET', attempts: 2 })),
      groupOf('fault', 0, 30, () => ({ target: BAD, method: 'POST' })),
    ]
    assert.match(linesOf(groups)[0] ?? '', new RegExp(`^all 30 failing requests went to ${BAD}`))
  })

  it('weighs samples by how many requests they stand for', () => {
    const groups = [
      groupOf('good', 0, 50, () => ({ target: TARGETS[0] }), 100),
      groupOf('good', 1, 50, () => ({ target: BAD }), 1),
      groupOf('fault', 0, 20, () => ({ target: BAD })),
      groupOf('fault', 1, 20, () => ({ target: BAD })),
    ]
    const found = compare('faults', [{ instance: 'one', groups }], { fromMs: AT })
    // Each half minute counts by how much failed around it, not by how much traffic there was.
    assert.equal(found?.differences[0]?.goodShare.toFixed(6), '0.500000')
  })

  it('says many failing requests as a share, as only some were looked at', () => {
    const groups = [
      groupOf('good', 0, 50, each => ({ target: TARGETS[each % 3] }), 100),
      groupOf('fault', 0, 50, each => ({ target: each === 0 ? TARGETS[0] : BAD }), 20),
    ]
    assert.match(linesOf(groups)[0] ?? '', /^98 % of the failing requests went to/)
  })

  it('hides who the clients are unless the settings show them', () => {
    const groups = [
      groupOf('good', 0, 90, each => ({ consumer: `c${each % 9}`, clientNetwork: `192.0.${each % 9}.0/24` })),
      groupOf('fault', 0, 60, () => ({ consumer: 'acme', clientNetwork: '203.0.113.0/24' })),
    ]
    const [hidden = ''] = linesOf(groups)
    assert.match(hidden, /came from consumer [0-9a-f]{12} .*network [0-9a-f]{12}/)
    assert.doesNotMatch(hidden, /acme|203\.0\.113/)
    const [shown = ''] = linesOf(groups, { ...HIDDEN, clients: true, consumers: true })
    assert.match(shown, /came from consumer acme .*network 203\.0\.113\.0\/24/)
  })

  it('is looked for in alerts about requests alone', () => {
    assert.equal(compare('certificate', [], { fromMs: AT }), undefined)
    assert.equal(compare('faults', [{ instance: 'one', groups: [] }], { fromMs: AT }), undefined)
  })
})

function linesOf(groups: readonly SampledGroup[], shown = HIDDEN): string[] {
  const replicas: ReplicaSamples[] = [{ instance: 'gateway-1:9464', groups }]
  const found = compare('faults', replicas, { fromMs: AT })
  return found === undefined ? [] : differenceLines(redacted(found, shown), 'faults')
}

function groupOf(
  kind: string,
  slot: number,
  count: number,
  make: (each: number) => { [Key in keyof SampledRequest]?: SampledRequest[Key] | undefined },
  weight = 1,
): SampledGroup {
  const startMs = AT + slot * SLOT_MS
  const samples = Array.from({ length: count }, (_, each): SampledRequest => {
    return { ...REQUEST, timeMs: startMs + Math.floor((each * SLOT_MS) / count), ...make(each) } as SampledRequest
  })
  return { startMs, route: '/orders', kind, seen: count * weight, weight, samples }
}

const REQUEST: SampledRequest = {
  timeMs: 0,
  durationMs: 10,
  routeName: 'orders',
  upstream: 'orders',
  attempts: 1,
  method: 'GET',
  path: '/orders',
  query: 'absent',
  status: 200,
  clientNetwork: '192.0.2.0/24',
  userAgent: 'curl 8',
  protocol: '1.1',
  tls: 'none',
  contentType: 'none',
  requestSize: 'none',
  responseSize: 'none',
  headers: [],
}
