import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compareReplicas, type AskedReplica } from '../../../../src/incidents/fleet/compare'
import type { Fleet } from '../../../../src/incidents/fleet/fleet'
import { fleetAnswer, fleetJsonSchema, toFleetAnswer } from '../../../../src/incidents/fleet/fleet-json'
import { askedReplica, FLEET_NOW, summaryOf, unreachableReplica } from '../../../support/fleet-record'

const OTHER = '9f8e7d6c'.repeat(8)
const SCHEMA = join(__dirname, '../../../../../docs/fleet.schema.json')

describe('the replicas side by side', () => {
  it('have nothing to look at while they are alike and well', () => {
    const { concerns, configurations, versions } = fleetOf(['a', 'b', 'c'].map(name => askedReplica(name)))
    assert.deepEqual(concerns, [])
    assert.equal(configurations.length, 1)
    assert.deepEqual(versions[0]?.instances, ['a', 'b', 'c'])
  })

  it('mark the one with another configuration, and say since when', () => {
    const fleet = fleetOf([
      askedReplica('a'),
      askedReplica('b'),
      askedReplica('c', { summary: summaryOf({ sha256: OTHER, configSinceMs: FLEET_NOW - 60_000 }) }),
    ])
    assert.deepEqual(textsOf(fleet), [
      '2 configurations are active: 1a2b3c4d on a and b, 9f8e7d6c on c since 14:09:00 UTC',
    ])
    assert.deepEqual(
      fleet.replicas.map(({ instance, differs }) => [instance, differs.configuration]),
      [
        ['c', true],
        ['a', false],
        ['b', false],
      ],
    )
  })

  it('mark both of two that differ, as neither is the majority', () => {
    const fleet = fleetOf([askedReplica('a'), askedReplica('b', { summary: summaryOf({ version: '1.1.0' }) })])
    assert.deepEqual(textsOf(fleet), ['2 versions run: 1.0.0 on a, 1.1.0 on b'])
    assert.deepEqual(
      fleet.replicas.map(({ differs }) => differs.version),
      [true, true],
    )
  })

  it('count replicas where there are many, and name the one that differs', () => {
    const many = Array.from({ length: 99 }, (_, index) => askedReplica(`r${index}`))
    const fleet = fleetOf([...many, askedReplica('odd', { summary: summaryOf({ version: '0.9.0' }) })])
    assert.deepEqual(textsOf(fleet), ['2 versions run: 1.0.0 on 99 replicas, 0.9.0 on odd'])
    assert.equal(fleet.replicas[0]?.instance, 'odd')
  })

  it('do not compare what an unreachable one ran before', () => {
    const fleet = fleetOf([askedReplica('a'), unreachableReplica('b', { sha256: OTHER, version: '0.9.0' })])
    assert.deepEqual(textsOf(fleet), ['b is unreachable since 14:04:57 UTC (5 min 3 s): connection refused'])
    assert.equal(fleet.replicas[0]?.version, '0.9.0')
  })

  it('name what Prometheus and this service see differently', () => {
    const fleet = fleetOf([
      unreachableReplica('a', { problem: 'no answer in time', lastSeenMs: undefined }),
      unreachableReplica('b', { scrape: 'up', problem: 'no route to host', scrapeError: undefined }),
    ])
    assert.deepEqual(textsOf(fleet), [
      'a is unreachable for more than an hour: no answer in time; Prometheus: dial tcp 10.0.0.3:9464: connect: connection refused',
      'The ops port of b gives no summary: no route to host. Its numbers are those of Prometheus',
    ])
  })

  it('order statements by severity', () => {
    const ejected = [{ upstream: 'orders', target: 'http://10.0.0.7:9001', reason: 'circuit open' }]
    const fleet = fleetOf([
      askedReplica('a', {
        summary: summaryOf({
          ejected,
          limits: 'degraded',
          load: { faultShare: 0.42 },
          requests: { requests: 100, faults: 42 },
          refusedReload: { timeMs: FLEET_NOW - 120_000, reason: 'gateway.yaml:3: unknown key' },
        }),
      }),
      askedReplica('b', { summary: summaryOf({ ejected, status: 'not_ready', notReady: 'draining', sha256: OTHER }) }),
      unreachableReplica('c'),
    ])
    assert.deepEqual(textsOf(fleet), [
      'c is unreachable since 14:04:57 UTC (5 min 3 s): connection refused',
      'b is not ready: draining',
      'More than 1 % of the requests of the last 5 minutes failed on a alone (of 3 replicas): 42 %',
      '2 configurations are active: 1a2b3c4d on a since 12:05:00 UTC, 9f8e7d6c on b since 12:05:00 UTC',
      'Upstream orders: http://10.0.0.7:9001 is ejected by both replicas',
      'Limits are degraded on a alone (of 3 replicas): Redis is unavailable there, each counts alone',
      'The configuration of 14:08:00 UTC was refused on a (gateway.yaml:3: unknown key)',
    ])
    assert.deepEqual(
      fleet.replicas.map(({ instance }) => instance),
      ['c', 'b', 'a'],
    )
  })

  it('say little when a hundred replicas have the same trouble', () => {
    const fleet = fleetOf(Array.from({ length: 100 }, (_, index) => unreachableReplica(`r${index}`)))
    assert.equal(fleet.concerns.length, 6)
    assert.equal(fleet.concerns.at(-1)?.text, '95 more replicas are unreachable')
  })

  it('do not count what an unreachable one had ejected before', () => {
    const ejected = [{ upstream: 'orders', target: '10.0.0.7:9001' }]
    assert.deepEqual(fleetOf([askedReplica('a'), unreachableReplica('b', { ejected })]).ejected, [])
  })

  it('add up clients that several of them limit', () => {
    const limited = [{ client: 'a1b2c3', route: 'orders', policy: 'burst', count: 7 }]
    const fleet = fleetOf(['a', 'b'].map(name => askedReplica(name, { summary: summaryOf({ limited }) })))
    assert.deepEqual(fleet.limited, [
      { client: 'a1b2c3', route: 'orders', policy: 'burst', count: 14, instances: ['a', 'b'] },
    ])
  })
})

describe('the fleet for programs', () => {
  it('is what docs/fleet.schema.json describes (npm run schema)', () => {
    assert.equal(readFileSync(SCHEMA, 'utf8'), fleetJsonSchema())
  })

  it('has every field of the schema', () => {
    const fleet = fleetOf([
      askedReplica('a', { summary: summaryOf({ refusedReload: { timeMs: FLEET_NOW, reason: 'x' } }) }),
      unreachableReplica('b'),
    ])
    const answer: unknown = JSON.parse(JSON.stringify(toFleetAnswer(fleet)))
    assert.deepEqual(fleetAnswer.parse(answer), answer)
    assert.equal((answer as Fleet).replicas[1]?.summary?.host, 'gateway-7d9f')
  })
})

function fleetOf(replicas: readonly AskedReplica[]): Fleet {
  return compareReplicas(replicas, { timeMs: FLEET_NOW, leftOut: 0, prometheusProblem: undefined })
}

function textsOf({ concerns }: Fleet): string[] {
  return concerns.map(({ text }) => text)
}
