import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { findComparison, type FoundComparison } from '../../../../../src/incidents/evidence/comparison/find-comparison'
import type { ReplicaSamples } from '../../../../../src/incidents/evidence/comparison/sampled-requests'
import { TargetReleases, type SeenRelease } from '../../../../../src/incidents/evidence/comparison/target-releases'
import { differenceLines } from '../../../../../src/incidents/evidence/comparison/wording'
import { gatherEvidence } from '../../../../../src/incidents/evidence/gather'
import { PrometheusClient } from '../../../../../src/incidents/evidence/prometheus'
import { jaeger, tempo, type TraceBackend } from '../../../../../src/incidents/evidence/trace-sources'
import { bodyOf, startUpstream, type RunningUpstream } from '../../../../support/start-upstream'

const SLOT_MS = 30_000
const ONSET = Math.floor(Date.now() / SLOT_MS) * SLOT_MS - SLOT_MS
const HIDDEN = { clients: false, consumers: false, headers: [] }
const A = '10.0.0.5:9001'
const B = '10.0.0.6:9001'
const C = '10.0.0.7:9001'
const ALERT = {
  labels: { component: 'gateway', family: 'faults', http_route: '/orders' },
  annotations: {},
  startsAt: new Date(ONSET + 60_000).toISOString(),
  endsAt: undefined,
  generatorURL: '',
}

/** A sampled request of these tests. */
interface Request {
  readonly traceId: string
  readonly target: string
  readonly timeMs: number
  readonly side: 'before' | 'good' | 'failing'
}

/** `service.version` of what answered, or undefined if the upstream sends none. */
type VersionOf = (request: Request) => string | undefined

const deployedTo =
  (...targets: string[]): VersionOf =>
  ({ target, side }) =>
    side !== 'before' && targets.includes(target) ? '1.4.2' : '1.4.1'

describe('the releases of targets', () => {
  let requests: Map<string, Request>
  let versionOf: VersionOf
  let gateway: RunningUpstream
  let backend: RunningUpstream
  let answer: RequestListener

  beforeEach(async () => {
    requests = new Map()
    answer = (request, response) => {
      const of = requests.get(request.url?.split('/').at(-1) ?? '')
      if (of === undefined) return void response.writeHead(404).end()
      const isTempo = request.url?.includes('/api/v2/') === true
      response.end(JSON.stringify({ [isTempo ? 'trace' : 'result']: traceOf(of, versionOf(of), isTempo) }))
    }
    gateway = await startUpstream((_request, response) => response.end(JSON.stringify({ groups: groupsOf() })))
    backend = await startUpstream((request, response) => answer(request, response))
  })
  afterEach(async () => {
    await Promise.all([gateway.stop(), backend.stop()])
  })

  for (const [name, open] of [
    ['Jaeger', jaeger],
    ['Tempo', tempo],
  ] as const) {
    it(`are read from ${name}, compared, and named as a change`, async () => {
      plant([A, B, C], [B, C])
      versionOf = deployedTo(B, C)
      const found = await find([open(backend.url)])
      assert.deepEqual(linesOf(found), [
        'all 40 failing requests went to release 1.4.2 on 2 of 3 targets (no good one did, 0 % of those before, new since ' +
          `${clock(ONSET)} UTC)`,
      ])
      assert.deepEqual(found?.changes, [
        { timeMs: ONSET, what: 'release 1.4.1 → 1.4.2 first seen at 2 of 3 targets of orders' },
      ])
    })
  }

  it('stand beside the target if they select the same requests', async () => {
    plant([A, B, C], [C])
    versionOf = deployedTo(C)
    const found = await find()
    assert.deepEqual(linesOf(found), [
      `all 40 failing requests went to ${C} (no good one did, 33 % of those before; the same requests: release 1.4.2)`,
    ])
    assert.deepEqual(
      found?.changes.map(({ what }) => what),
      ['release 1.4.1 → 1.4.2 first seen at 1 of 3 targets of orders'],
    )
  })

  it('are not named where all targets run the same', async () => {
    plant([A, B, C], [C])
    versionOf = () => '1.4.1'
    const found = await find()
    assert.doesNotMatch(linesOf(found).join(), /release/)
    assert.deepEqual(found?.changes, [])
  })

  it('are not named if traces of one target disagree, as several servers answer behind its address', async () => {
    plant([A, B, C], [B, C])
    versionOf = ({ target, timeMs }) => (target !== A && timeMs % 2_000 < 1_000 ? '1.4.2' : '1.4.1')
    await assertNoRelease()
  })

  it('are not named if an earlier one returns, as with several servers behind one address', async () => {
    plant([A, B, C], [B, C])
    versionOf = ({ target, timeMs }) =>
      target === A || (timeMs >= ONSET - 2 * SLOT_MS && timeMs < ONSET) ? '1.4.1' : '1.4.2'
    await assertNoRelease()
  })

  it('are not named if they are unknown for some targets', async () => {
    plant([A, B, C], [C])
    versionOf = ({ target, side }) => {
      if (target === A) return '1.4.1'
      return target === C && side === 'failing' ? '1.4.2' : undefined
    }
    await assertNoRelease()
  })

  it('are not called new if those of the time before are unknown', async () => {
    plant([A, B, C], [B, C])
    versionOf = request => (request.side === 'before' ? undefined : deployedTo(B, C)(request))
    const found = await find()
    assert.deepEqual(linesOf(found), [
      'all 40 failing requests went to release 1.4.2 on 2 of 3 targets (no good one did)',
    ])
    assert.deepEqual(found?.changes, [])
  })

  it('are not assumed from the time before for a target that sends no spans any more', async () => {
    plant([A, B, C], [C])
    versionOf = ({ target, side }) => (side === 'failing' ? undefined : target === C ? '1.4.2' : '1.4.1')
    await assertNoRelease()
  })

  it('are not named without service.version', async () => {
    plant([A, B, C], [B, C])
    versionOf = () => undefined
    await assertNoRelease()
    assert.ok(backend.requests.length > 0)
  })

  it('are not looked for without a trace backend, or without sampled traces', async () => {
    plant([A, B, C], [B, C])
    versionOf = deployedTo(B, C)
    assert.doesNotMatch(linesOf(await find([])).join(), /release/)
    requests = new Map([...requests].map(([id, request]) => [id, { ...request, traceId: '' }]))
    await assertNoRelease()
    assert.equal(backend.requests.length, 0)
  })

  it('carry the name of the service if there are several', async () => {
    plant([A, B, C], [B, C])
    versionOf = deployedTo(B, C)
    const original = answer
    answer = (request, response) => {
      const of = requests.get(request.url?.split('/').at(-1) ?? '')
      if (of?.target !== A) return original(request, response)
      return response.end(JSON.stringify({ result: traceOf(of, '1.4.2', false, 'legacy') }))
    }
    assert.match(linesOf(await find())[0] ?? '', /went to release orders 1\.4\.2 on 2 of 3 targets/)
  })

  it('cost nothing else if the backend hangs or fails', async () => {
    plant([A, B, C], [C])
    answer = () => {}
    const startedAt = performance.now()
    assert.match(linesOf(await find())[0] ?? '', new RegExp(`went to ${C} \\(`))
    assert.ok(performance.now() - startedAt < 4_000)
    answer = (_request, response) => response.writeHead(500).end()
    plant([A, B, C], [C])
    assert.match(linesOf(await find())[0] ?? '', new RegExp(`went to ${C} \\(`))
  })

  it('cost at most 24 traces, at least one of each target first', async () => {
    const targets = Array.from({ length: 12 }, (_, index) => `10.0.1.${index}:9001`)
    plant(targets, targets)
    versionOf = deployedTo(...targets)
    await find()
    const fetched = backend.requests.map(({ url }) => url.split('/').at(-1) ?? '')
    assert.equal(fetched.length, 24)
    assert.equal(new Set(fetched).size, 24)
    assert.equal(new Set(fetched.map(id => requests.get(id)?.target)).size, 12)
  })

  it('show no secret, and are bounded in length', async () => {
    plant([A, B, C], [B, C])
    versionOf = request => (deployedTo(B, C)(request) === '1.4.2' ? 'Bearer c2VjcmV0 token=hunter2\u0007' : '1.4.1')
    const found = await find()
    const [line = ''] = linesOf(found)
    assert.match(line, /release Bearer … token=… on 2 of 3 targets/)
    assert.doesNotMatch(JSON.stringify(found), /c2VjcmV0|hunter2|\\u0007/)
    plant([A, B, C], [B, C])
    versionOf = request => (deployedTo(B, C)(request) === '1.4.2' ? '9'.repeat(200) : '1.4.1')
    assert.match(linesOf(await find())[0] ?? '', /release 9{64} on/)
    plant([A, B, C], [B, C])
    versionOf = request => (deployedTo(B, C)(request) === '1.4.2' ? '9'.repeat(300) : '1.4.1')
    await assertNoRelease()
  })

  describe('in the evidence of an alert', () => {
    let prometheus: RunningUpstream

    beforeEach(async () => {
      prometheus = await startUpstream((request, response) => {
        void bodyOf(request).then(body => {
          const query = new URLSearchParams(body.toString()).get('query') ?? ''
          const replica = { metric: { instance: 'gateway-1:9464', url: gateway.url }, value: [0, '1'] }
          const result = query.includes('(gateway_ops_info{') || query.includes('max_over_time') ? [replica] : []
          const data = request.url?.includes('exemplars') === true ? [] : { result }
          response.end(JSON.stringify({ status: 'success', data }))
        })
      })
    })
    afterEach(async () => prometheus.stop())

    it('stand among the differences and the changes', async () => {
      plant([A, B, C], [B, C])
      versionOf = deployedTo(B, C)
      const { comparison, changes, missing } = await gather(0)
      assert.equal(comparison?.differences[0]?.dimension, 'release')
      assert.deepEqual(comparison?.differences[0]?.targets, { having: 2, of: 3 })
      assert.ok(changes.some(({ what }) => what.startsWith('release 1.4.1 → 1.4.2 first seen')))
      assert.deepEqual(missing, [])
    })

    it('are not looked for while many alerts wait', async () => {
      plant([A, B, C], [B, C])
      versionOf = deployedTo(B, C)
      const { comparison } = await gather(100)
      assert.notEqual(comparison, undefined)
      assert.equal(backend.requests.length, 0)
    })

    async function gather(waiting: number): ReturnType<typeof gatherEvidence> {
      const options = {
        prometheus: new PrometheusClient(prometheus.url),
        gatewayJob: 'myesi-api',
        opsToken: undefined,
        opsTokenHosts: [],
        backends: [jaeger(backend.url)],
        shown: HIDDEN,
      }
      return gatherEvidence(ALERT, options, ONSET + 60_000, waiting)
    }
  })

  /** Requests of a few minutes before the onset, and since: good ones to the other targets, failing ones to these. */
  function plant(targets: readonly string[], failing: readonly string[]): void {
    requests = new Map()
    const others = targets.filter(target => !failing.includes(target))
    const add = (side: Request['side'], fromMs: number, count: number, to: readonly string[]): void => {
      for (let index = 0; index < count && to.length > 0; index++) {
        const traceId = randomBytes(16).toString('hex')
        const timeMs = fromMs + Math.floor((index * SLOT_MS) / count)
        requests.set(traceId, { traceId, target: to[index % to.length] ?? '', timeMs, side })
      }
    }
    for (const slot of [-4, -3, -2, -1]) add('before', ONSET + slot * SLOT_MS, 51, targets)
    add('good', ONSET, 60, others)
    add('failing', ONSET, 40, failing)
  }

  async function find(backends: readonly TraceBackend[] = [jaeger(backend.url)]): Promise<FoundComparison | undefined> {
    const window = { startMs: ONSET - 240_000, endMs: ONSET + 60_000 + Math.random() }
    // Answers of gateways are shared for some seconds by their address.
    const replicas = new Map([['gateway-1:9464', { url: `${gateway.url}/${Math.random()}`, token: undefined }]])
    return findComparison(ALERT, window, replicas, { shown: HIDDEN, backends, signal: AbortSignal.timeout(5_000) })
  }

  async function assertNoRelease(): Promise<void> {
    const found = await find()
    assert.notEqual(found?.comparison, undefined)
    assert.doesNotMatch(JSON.stringify(found), /release/)
  }

  function groupsOf(): object[] {
    const slots = Map.groupBy([...requests.values()], ({ timeMs, side }) => {
      return `${Math.floor(timeMs / SLOT_MS) * SLOT_MS} ${side === 'failing' ? 'fault' : 'good'}`
    })
    return [...slots].map(([key, of]) => {
      const [startMs, kind] = key.split(' ')
      const samples = of.map(({ traceId, target, timeMs }) => {
        return { ...SAMPLE, ...(traceId !== '' && { traceId }), target, timeMs }
      })
      return { startMs: Number(startMs), route: '/orders', kind, seen: of.length, weight: 1, samples }
    })
  }
})

describe('the release of a target that changed within one period', () => {
  const seen = (timeMs: number, version: string): SeenRelease => {
    return { target: A, upstream: 'orders', timeMs, service: 'orders', version }
  }
  const at = (...timesMs: number[]): ReplicaSamples[] => {
    const samples = timesMs.map(timeMs => ({ ...SAMPLE, target: A, timeMs }))
    return [{ instance: 'one', groups: [{ startMs: 0, route: '/', kind: 'good', seen: 1, weight: 1, samples }] }]
  }

  it('is unknown between the last trace of the old one and the first of the new one', () => {
    const releases = new TargetReleases([seen(100, '1'), seen(200, '2'), seen(210, '2')], 0)
    const samples = releases.assignedTo(at(90, 100, 150, 200, 999)).flatMap(({ groups }) => groups[0]?.samples ?? [])
    assert.deepEqual(
      samples.map(({ release }) => release),
      ['1', '1', undefined, '2', '2'],
    )
  })

  it('is a change only if two traces show each', () => {
    const once = new TargetReleases([seen(100, '1'), seen(110, '1'), seen(200, '2')], 0)
    assert.deepEqual(once.changes(at(100)), [])
    const twice = new TargetReleases([seen(100, '1'), seen(110, '1'), seen(200, '2'), seen(201, '2')], 0)
    assert.deepEqual(twice.changes(at(100)), [
      { timeMs: 200, what: 'release 1 → 2 first seen at 1 of 1 targets of orders' },
    ])
  })
})

function linesOf(found: FoundComparison | undefined): string[] {
  return found?.comparison === undefined ? [] : differenceLines(found.comparison, 'faults')
}

function clock(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(11, 19)
}

/**
 * A trace as the two products answer it: gateway, upstream, and a call of the upstream to another service, whose release
 * is none of the target's. Tempo writes names of kinds, and ids in base64.
 */
function traceOf(
  { target, timeMs }: Request,
  version: string | undefined,
  isTempo: boolean,
  service = 'orders',
): object {
  const id = (hex: string): string => (isTempo ? Buffer.from(hex, 'hex').toString('base64') : hex)
  const [server, client, upstream, inner, other] = ['1', '2', '3', '4', '5'].map(digit => id(digit.repeat(16)))
  const [SERVER, CLIENT] = isTempo ? ['SPAN_KIND_SERVER', 'SPAN_KIND_CLIENT'] : [2, 3]
  const attribute = (key: string, value: string): object => ({ key, value: { stringValue: value } })
  const span = (spanId: string, parentSpanId: string, kind: unknown, attributes: object[] = []): object => ({
    spanId,
    parentSpanId,
    kind,
    attributes,
    startTimeUnixNano: `${timeMs - 5}000000`,
    endTimeUnixNano: `${timeMs}000000`,
  })
  const resource = (name: string, itsVersion: string | undefined, spans: object[]): object => {
    const versions = itsVersion === undefined ? [] : [attribute('service.version', itsVersion)]
    return { resource: { attributes: [attribute('service.name', name), ...versions] }, scopeSpans: [{ spans }] }
  }
  return {
    resourceSpans: [
      resource('other', '9.9.9', [span(other!, inner!, SERVER)]),
      resource(service, version, [
        span(upstream!, client!, SERVER),
        span(inner!, upstream!, CLIENT, [attribute('url.full', `http://${target}/inner`)]),
      ]),
      resource('myesi-api', '0.1.0', [
        span(server!, '', SERVER, [attribute('gateway.outcome', 'fault')]),
        span(client!, server!, CLIENT, [attribute('url.full', `http://${target}/orders`)]),
      ]),
    ],
  }
}

const SAMPLE = {
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
