import assert from 'node:assert/strict'
import type { UpstreamConfig } from '../../../src/config/types'
import type { Exchange } from '../../../src/exchange/exchange'
import { createBalancer, type Balancer } from '../../../src/upstream/balancer'
import { hashOf } from '../../../src/exchange/hash'
import type { Target } from '../../../src/upstream/target'

/** The part of a target that balancers look at. */
function targetOf(origin: string, weight = 1): Target {
  return { origin, weight, currentWeight: 0, activeCalls: 0, seed: hashOf(origin) } as Target
}

function balancerFor(balance: UpstreamConfig['balance'], targets: readonly Target[], hashKey = ['client']): Balancer {
  return createBalancer({ balance, hashKey, targets } as unknown as UpstreamConfig)
}

function exchangeOf(clientAddress: string, headers: Record<string, string> = {}): Exchange {
  return { clientAddress, request: { headers } } as unknown as Exchange
}

const ANYBODY = exchangeOf('192.0.2.1')

function origins(balancer: Balancer, targets: readonly Target[], count: number): string {
  return Array.from({ length: count }, () => balancer.choose(targets, ANYBODY).origin).join('')
}

function clients(count: number): Exchange[] {
  return Array.from({ length: count }, (_, index) => exchangeOf(`10.0.${index >> 8}.${index & 255}`))
}

/** How many of them each target gets. */
function shares(balancer: Balancer, targets: readonly Target[], exchanges: readonly Exchange[]): number[] {
  const chosen = exchanges.map(exchange => balancer.choose(targets, exchange))
  return targets.map(target => chosen.filter(one => one === target).length)
}

describe('round robin', () => {
  it('goes around', () => {
    const targets = ['a', 'b', 'c'].map(origin => targetOf(origin))
    assert.equal(origins(balancerFor('round-robin', targets), targets, 7), 'abcabca')
  })

  it('goes around what is left', () => {
    const targets = ['a', 'b', 'c'].map(origin => targetOf(origin))
    const balancer = balancerFor('round-robin', targets)
    assert.equal(origins(balancer, targets, 2), 'ab')
    assert.equal(origins(balancer, targets.slice(0, 2), 3), 'aba')
  })

  it('goes by weight, and evenly', () => {
    const targets = [targetOf('a', 5), targetOf('b', 1), targetOf('c', 1)]
    assert.equal(origins(balancerFor('round-robin', targets), targets, 14), 'aabacaaaabacaa')
  })
})

describe('least requests', () => {
  it('never takes the busier of two', () => {
    const targets = [targetOf('a'), targetOf('b')]
    targets[0]!.activeCalls = 1
    assert.equal(origins(balancerFor('least-requests', targets), targets, 50), 'b'.repeat(50))
  })

  it('looks at how busy each is for its weight', () => {
    const targets = [targetOf('a', 10), targetOf('b', 1)]
    targets[0]!.activeCalls = 3
    assert.equal(origins(balancerFor('least-requests', targets), targets, 50), 'a'.repeat(50))
  })

  it('reaches every target while none is busy, and the busiest of three never', () => {
    const targets = ['a', 'b', 'c'].map(origin => targetOf(origin))
    const balancer = balancerFor('least-requests', targets)
    assert.deepEqual([...new Set(origins(balancer, targets, 300))].toSorted().join(''), 'abc')
    targets[1]!.activeCalls = 9
    assert.ok(!origins(balancer, targets, 300).includes('b'))
  })

  it('takes what there is', () => {
    const targets = [targetOf('a')]
    assert.equal(origins(balancerFor('least-requests', targets), targets, 3), 'aaa')
  })
})

describe('consistent hash', () => {
  const targets = Array.from({ length: 5 }, (_, index) => targetOf(`http://10.0.0.${index}:80`))
  const many = clients(10_000)

  it('sends the same client to the same target, and all clients evenly', () => {
    const balancer = balancerFor('hash', targets)
    assert.deepEqual(shares(balancer, targets, many), shares(balancer, targets, many))
    for (const share of shares(balancer, targets, many)) assert.ok(Math.abs(share - 2_000) < 200, `${share} of 10000`)
  })

  it('moves only those of a target that goes', () => {
    const balancer = balancerFor('hash', targets)
    const left = targets.slice(1)
    for (const exchange of many) {
      const before = balancer.choose(targets, exchange)
      if (before !== targets[0]) assert.equal(balancer.choose(left, exchange), before)
    }
    for (const share of shares(balancer, left, many)) assert.ok(Math.abs(share - 2_500) < 250, `${share} of 10000`)
  })

  it('counts weights', () => {
    const weighted = [targetOf('a', 3), targetOf('b', 1)]
    const [heavy = 0] = shares(balancerFor('hash', weighted), weighted, many)
    assert.ok(Math.abs(heavy - 7_500) < 300, `${heavy} of 10000`)
  })

  it('goes by a header, and by the address of a client without it', () => {
    const balancer = balancerFor('hash', targets, ['header:x-tenant'])
    const ofTenant = many.map(({ clientAddress }) => exchangeOf(clientAddress, { 'x-tenant': 'a' }))
    assert.deepEqual(
      shares(balancer, targets, ofTenant).filter(share => share > 0),
      [10_000],
    )
    assert.ok(shares(balancer, targets, many).every(share => share > 1_500))
  })

  it('goes by several together', () => {
    const balancer = balancerFor('hash', targets, ['header:x-tenant', 'client'])
    const ofTenant = many.map(({ clientAddress }) => exchangeOf(clientAddress, { 'x-tenant': 'a' }))
    assert.ok(shares(balancer, targets, ofTenant).every(share => share > 1_500))
  })
})
