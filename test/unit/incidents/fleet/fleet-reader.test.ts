import assert from 'node:assert/strict'
import type { Sample, Scrape } from '../../../../src/incidents/evidence/prometheus'
import { FleetReader, MAX_REPLICAS, OPS_MS, PROMETHEUS_MS } from '../../../../src/incidents/fleet/fleet-reader'
import { summaryAnswer } from '../../../support/fleet-record'
import { freePort } from '../../../support/free-port'
import { startUpstream, type RunningUpstream } from '../../../support/start-upstream'
import { until } from '../../../support/until'

describe('reading the fleet', function () {
  this.timeout(20_000)
  let opsPort: RunningUpstream

  beforeEach(async () => {
    opsPort = await startUpstream((_request, response) => response.end(JSON.stringify(summaryAnswer())))
  })
  afterEach(async () => opsPort.stop())

  for (const count of [1, 3, 100]) {
    it(`asks each of ${count} replicas once and Prometheus five times`, async () => {
      const prometheus = prometheusOf(Array.from({ length: count }, (_, index) => ({ name: `r${index}`, up: true })))
      const fleet = await new FleetReader(optionsOf(prometheus)).read()
      assert.equal(fleet.replicas.length, count)
      assert.deepEqual(new Set(fleet.replicas.map(({ state }) => state)), new Set(['ok']))
      assert.deepEqual(fleet.concerns, [])
      assert.equal(opsPort.requests.length, count)
      assert.equal(prometheus.asked, 5)
    })
  }

  it('shares its work between readers', async () => {
    const prometheus = prometheusOf([{ name: 'r0', up: true }])
    const reader = new FleetReader(optionsOf(prometheus))
    await Promise.all(Array.from({ length: 50 }, async () => reader.read()))
    assert.equal(opsPort.requests.length, 1)
  })

  it('shows 200 replicas at most, and says how many are left out', async () => {
    const prometheus = prometheusOf(
      Array.from({ length: MAX_REPLICAS + 7 }, (_, index) => ({ name: `r${index}`, up: true })),
    )
    const fleet = await new FleetReader(optionsOf(prometheus)).read()
    assert.equal(fleet.replicas.length, MAX_REPLICAS)
    assert.equal(fleet.leftOut, 7)
    assert.ok(fleet.concerns.some(({ text }) => text === '7 more replicas are neither asked nor shown'))
  })

  it('waits for no replica longer than the stated time, even if all of them hang', async () => {
    opsPort.handler = (): void => {} // takes requests and never answers
    const prometheus = prometheusOf(Array.from({ length: 150 }, (_, index) => ({ name: `r${index}`, up: true })))
    const startedAt = performance.now()
    const fleet = await new FleetReader(optionsOf(prometheus)).read()
    const tookMs = performance.now() - startedAt
    assert.ok(tookMs < OPS_MS + PROMETHEUS_MS + 1_000, `${tookMs} ms`)
    assert.deepEqual(new Set(fleet.replicas.map(({ problem }) => problem)), new Set(['no answer in time']))
    assert.equal(fleet.replicas[0]?.version, '1.0.0', 'as Prometheus knows it')
    assert.equal(fleet.replicas[0]?.load.requestsPerSecond, 4)
  })

  it('asks the replicas that Prometheus named before while it does not answer', async () => {
    const prometheus = prometheusOf([{ name: 'r0', up: true }])
    const options = optionsOf(prometheus)
    const reader = new FleetReader(options)
    await reader.read()
    prometheus.query = async () => Promise.reject(new Error('connect failed', { cause: { code: 'ECONNREFUSED' } }))
    const fleet = await afterSharing(
      async () => reader.read(),
      ({ prometheusProblem }) => prometheusProblem !== undefined,
    )
    assert.equal(fleet.prometheusProblem, 'connection refused')
    assert.equal(fleet.replicas[0]?.state, 'ok')
    assert.equal(fleet.replicas[0]?.load.inFlight, 2)
    assert.match(fleet.concerns[0]?.text ?? '', /^Prometheus does not answer \(connection refused\)/)
  })

  it('says since when a replica is unreachable and why, with its last load', async () => {
    const prometheus = prometheusOf([
      { name: 'r0', up: true },
      { name: 'r1', up: false, url: `http://127.0.0.1:${await freePort()}`, error: 'dial tcp: connection refused' },
    ])
    const fleet = await new FleetReader(optionsOf(prometheus)).read()
    const [first, second] = fleet.replicas
    assert.equal(first?.instance, 'r1')
    assert.equal(first.state, 'unreachable')
    assert.equal(first.load.requestsPerSecond, 4)
    assert.equal(second?.state, 'ok')
    assert.match(
      fleet.concerns[0]?.text ?? '',
      /^r1 is unreachable since (?:\d+ \w+ \d+ )?\d\d:\d\d:\d\d UTC \(1 min(?: \d s)?\): connection refused$/,
    )
  })

  it('does not ask a replica that Prometheus no longer scrapes, and counts it as no problem', async () => {
    const prometheus = prometheusOf([
      { name: 'r0', up: true },
      { name: 'r1', up: undefined },
    ])
    const fleet = await new FleetReader(optionsOf(prometheus)).read()
    assert.deepEqual(
      fleet.replicas.map(({ instance, state }) => [instance, state]),
      [
        ['r0', 'ok'],
        ['r1', 'gone'],
      ],
    )
    assert.deepEqual(fleet.concerns, [])
    assert.equal(opsPort.requests.length, 1)
  })

  it('sends the token to scraped hosts only, and says if it is missing or wrong', async () => {
    opsPort.handler = (_request, response) => response.writeHead(401).end('{}')
    const prometheus = prometheusOf([{ name: 'r0', up: true }])
    const right = await new FleetReader({ ...optionsOf(prometheus), opsToken: 'a'.repeat(32) }).read()
    assert.equal(right.replicas[0]?.problem, 'answered 401: is OPS_TOKEN right?')
    assert.equal(opsPort.requests[0]?.headers.authorization, `Bearer ${'a'.repeat(32)}`)
    const other = prometheusOf([{ name: 'r0', up: true }])
    other.targets = async () => new Set(['10.0.0.1:9464'])
    const without = await new FleetReader({ ...optionsOf(other), opsToken: 'a'.repeat(32) }).read()
    assert.equal(without.replicas[0]?.problem, 'answered 401: it needs OPS_TOKEN (OPS_TOKEN_HOSTS)')
    assert.equal(opsPort.requests[1]?.headers.authorization, undefined)
  })

  it('names an ops port of another version', async () => {
    opsPort.handler = (_request, response) => response.writeHead(404).end('{}')
    const fleet = await new FleetReader(optionsOf(prometheusOf([{ name: 'r0', up: true }]))).read()
    assert.equal(fleet.replicas[0]?.problem, 'its version has no /summary')
    assert.equal(
      fleet.concerns[0]?.text,
      'The ops port of r0 gives no summary: its version has no /summary. Its numbers are those of Prometheus',
    )
  })

  function optionsOf(prometheus: FakePrometheus): ConstructorParameters<typeof FleetReader>[0] {
    return { prometheus, gatewayJob: 'myesi-api', opsToken: undefined, opsTokenHosts: [] }
  }

  interface FakeReplica {
    readonly name: string
    /** Undefined: no longer scraped. */
    readonly up: boolean | undefined
    readonly url?: string
    readonly error?: string
  }

  interface FakePrometheus {
    asked: number
    query: (expression: string, timeMs: number) => Promise<Sample[]>
    scrapes: () => Promise<Scrape[]>
    targets: () => Promise<ReadonlySet<string>>
  }

  function prometheusOf(replicas: readonly FakeReplica[]): FakePrometheus {
    const { url } = opsPort
    const each = (labelsOf: (replica: FakeReplica) => Record<string, string>, now: number): Sample[] =>
      replicas.map(replica => ({
        labels: { instance: replica.name, ...labelsOf(replica) },
        value: now / 1_000 - (replica.up === true ? 1 : 61),
      }))
    const fake: FakePrometheus = {
      asked: 0,
      query: async (expression, now) => {
        fake.asked++
        if (expression.includes('gateway_ops_info')) return each(replica => ({ url: replica.url ?? url }), now)
        if (expression.includes('gateway_config_info')) return each(() => ({ sha256: '1a2b3c4d'.repeat(8) }), now)
        if (expression.includes('target_info')) return each(() => ({ service_version: '1.0.0' }), now)
        if (expression.includes('(up{')) {
          return replicas
            .filter(({ up }) => up !== undefined)
            .map(({ name, up }) => ({ labels: { instance: name }, value: up === true ? 1 : 0 }))
        }
        const asked = replicas.filter(
          ({ name }) => !expression.includes('instance="') || expression.includes(`"${name}"`),
        )
        return asked.map(({ name }) => ({ labels: { instance: name, measure: 'requests' }, value: 4 }))
      },
      scrapes: async () =>
        replicas.map(({ name, error }) => ({ instance: name, url: `${url}/metrics`, lastError: error })),
      targets: async () => new Set([new URL(url).host]),
    }
    return fake
  }
})

/** Reads until the shared answer is over. */
async function afterSharing<Value>(read: () => Promise<Value>, isIt: (value: Value) => boolean): Promise<Value> {
  return until(
    async () => {
      const value = await read()
      return isIt(value) ? { value } : undefined
    },
    { what: 'a new answer', intervalMs: 100 },
  ).then(({ value }) => value)
}
