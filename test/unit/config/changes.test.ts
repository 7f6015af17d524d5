import assert from 'node:assert/strict'
import { changesBetween } from '../../../src/config/changes'

const LIMITS = [
  { name: 'burst', limit: 10 },
  { name: 'daily', limit: 100 },
]
const ORDERS = { name: 'orders', match: { path: '/orders' }, upstream: 'orders', rateLimit: LIMITS }
const USERS = { name: 'users', match: { path: '/users' }, upstream: 'users' }
const FILE = {
  entrypoint: { trustedProxies: ['10.0.0.0/8'], maxConnections: 100 },
  upstreams: { orders: { targets: ['http://a:1'], timeouts: { response: '10s' } }, users: { targets: ['http://u:1'] } },
  routes: [ORDERS, USERS],
}

describe('the difference between two gateway files', () => {
  it('is nothing when they say the same, in whatever order', () => {
    assert.deepEqual(changesBetween(FILE, { ...FILE, routes: [USERS, ORDERS] }), [])
  })

  it('names what was added and what was removed', () => {
    const { orders } = FILE.upstreams
    const stock = { name: 'stock', match: { path: '/stock' }, upstream: 'stock' }
    const changes = changesBetween(FILE, {
      ...FILE,
      upstreams: { orders, stock: { targets: ['http://s:1'] } },
      routes: [ORDERS, stock],
    })
    assert.deepEqual(changes, [
      'upstream "stock" added',
      'upstream "users" removed',
      'route "stock" added',
      'route "users" removed',
    ])
  })

  it('names the keys that changed, with what they say', () => {
    const changes = changesBetween(FILE, {
      entrypoint: { trustedProxies: ['10.0.0.0/8', '192.168.0.0/16'], traceContext: 'none' },
      upstreams: {
        orders: { targets: ['http://a:1', 'http://b:1'], timeouts: { response: '5s' } },
        users: { targets: ['http://u:1'], retries: { attempts: 2 } },
      },
      routes: [
        { ...ORDERS, rateLimit: [LIMITS[0], { name: 'daily', limit: '${DAILY}' }] },
        { ...USERS, upstream: 'orders' },
      ],
    })
    assert.deepEqual(changes, [
      'entrypoint changed: trustedProxies [10.0.0.0/8] → [10.0.0.0/8, 192.168.0.0/16], traceContext added: none, maxConnections removed',
      'upstream "orders" changed: targets [http://a:1] → [http://a:1, http://b:1], timeouts.response 10s → 5s',
      'upstream "users" changed: retries added',
      'route "orders" changed: rateLimit.daily.limit 100 → ${DAILY}',
      'route "users" changed: upstream users → orders',
    ])
  })

  it('says that what may be a secret changed, and not what it is', () => {
    const before = {
      consumers: { shop: { apiKeys: ['sha256:1'] } },
      routes: [{ name: 'a', requestHeaders: { set: { key: 'x' } } }],
    }
    const after = {
      consumers: { shop: { apiKeys: ['sha256:2'] } },
      routes: [{ name: 'a', requestHeaders: { set: { key: 'y' } } }],
    }
    assert.deepEqual(changesBetween(before, after), [
      'consumer "shop" changed: apiKeys changed',
      'route "a" changed: requestHeaders.set.key changed',
    ])
  })

  it('is bounded', () => {
    const many = Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`u${i}`, {}]))
    const changes = changesBetween({ upstreams: {} }, { upstreams: many })
    assert.equal(changes.length, 101)
    assert.equal(changes.at(-1), 'and 50 more')
  })
})
