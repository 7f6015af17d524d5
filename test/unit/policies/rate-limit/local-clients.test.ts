import assert from 'node:assert/strict'
import { LocalClients } from '../../../../src/policies/rate-limit/local-clients'

describe('the clients of a local count', () => {
  it('are never more than the bound: the one that was not seen for longest goes', () => {
    const clients = new LocalClients<string>(3)
    for (const key of ['a', 'b', 'c', 'd']) clients.add(key, key)
    assert.equal(clients.size, 3)
    assert.equal(clients.get('a'), undefined)
    assert.equal(clients.get('b'), 'b')
    clients.add('e', 'e')
    assert.equal(clients.get('c'), undefined)
    assert.deepEqual([clients.get('b'), clients.get('d'), clients.get('e')], ['b', 'd', 'e'])
    for (let i = 0; i < 100; i++) clients.add(`x${i}`, 'x')
    assert.equal(clients.size, 3)
  })

  it('are forgotten when they were not seen for two generations', () => {
    const clients = new LocalClients<string>()
    clients.forgetInactive(1_000, 500)
    clients.add('a', 'a')
    clients.add('b', 'b')
    clients.forgetInactive(1_500, 500)
    assert.equal(clients.get('a'), 'a')
    clients.forgetInactive(1_999, 500)
    assert.equal(clients.size, 2)
    clients.forgetInactive(2_000, 500)
    assert.deepEqual([clients.get('a'), clients.get('b')], ['a', undefined])
  })
})
