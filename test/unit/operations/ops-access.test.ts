import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { createOpsAccess } from '../../../src/operations/ops-access'

const TOKEN = '0123456789abcdef'

function access(host: string, token: string | undefined, path = '/traces', authorization?: string): string {
  return createOpsAccess({ host, token })({ headers: { authorization } } as IncomingMessage, path)
}

/** The answer on loopback to a request whose Host is `asked`. */
function accessBy(asked: string, path: string, token?: string, authorization?: string): string {
  const request = { headers: { host: asked, authorization } } as IncomingMessage
  return createOpsAccess({ host: '127.0.0.1', token })(request, path)
}

describe('the ops port', () => {
  for (const host of ['127.0.0.1', '127.3.2.1', '::1', 'localhost', 'LOCALHOST']) {
    it(`is open to everybody who can reach it on ${host}`, () => {
      assert.equal(access(host, undefined), 'granted')
    })
  }

  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'ops.example', '128.0.0.1', '127.0.0.1.example']) {
    it(`tells nothing of requests on ${host} as long as there is no token`, () => {
      assert.equal(access(host, undefined), 'forbidden')
      assert.equal(access(host, undefined, '/'), 'forbidden')
      assert.equal(access(host, undefined, '/traces/4bf92f3577b34da6a3ce929d0e0e4736', `Bearer ${TOKEN}`), 'forbidden')
      assert.equal(access(host, undefined, '/traces', 'Bearer undefined'), 'forbidden')
    })

    it(`wants the token on ${host}`, () => {
      assert.equal(access(host, TOKEN), 'unauthenticated')
      assert.equal(access(host, TOKEN, '/traces', `Bearer ${TOKEN}x`), 'unauthenticated')
      assert.equal(access(host, TOKEN, '/traces', `Bearer ${TOKEN}`), 'granted')
    })
  }

  it('wants the token on loopback too where there is one', () => {
    assert.equal(access('127.0.0.1', TOKEN), 'unauthenticated')
    assert.equal(access('127.0.0.1', TOKEN, '/traces', `bearer ${TOKEN}`), 'granted')
  })

  for (const path of ['/', '/traces', '/offenders', '/metrics']) {
    it(`on loopback does not answer ${path} to a page whose name was made to resolve to it`, () => {
      assert.equal(accessBy('evil.example:9464', path), 'foreign_host')
      assert.equal(accessBy('evil.example:9464', path, TOKEN), 'foreign_host')
      for (const host of ['127.0.0.1:9464', '[::1]:9464', 'localhost:9464', 'gateway:9464']) {
        assert.equal(accessBy(host, path), 'granted', host)
      }
    })
  }

  it('does not answer to the name of another site, whatever token its page shows', () => {
    // The default token of docker-compose.yml is known to everybody.
    for (const host of ['127.0.0.1', '0.0.0.0']) {
      const opsAccess = createOpsAccess({ host, token: TOKEN, allowedHosts: ['ops.shop.example'] })
      const asked = (name: string): string =>
        opsAccess({ headers: { host: name, authorization: `Bearer ${TOKEN}` } } as IncomingMessage, '/traces')
      for (const name of ['evil.example', 'evil.example:9464', 'shop.example', 'a.ops.shop.example', 'evil.']) {
        assert.equal(asked(name), 'foreign_host', name)
      }
      for (const name of ['OPS.shop.example', 'ops.shop.example:9464', 'localhost:9464', '10.0.0.1', '[::1]']) {
        assert.equal(asked(name), 'granted', name)
      }
    }
  })

  it('tells by any name whether the process is well', () => {
    for (const path of ['/livez', '/readyz']) assert.equal(accessBy('evil.example', path), 'granted')
  })

  for (const path of ['/livez', '/readyz', '/metrics']) {
    it(`answers ${path} to everybody`, () => {
      assert.equal(access('0.0.0.0', undefined, path), 'granted')
      assert.equal(access('0.0.0.0', TOKEN, path), 'granted')
    })
  }

  it('is not opened by a path that only looks like an open one', () => {
    for (const path of ['/livez/../traces', '/metrics/', '//metrics', '/METRICS']) {
      assert.equal(access('0.0.0.0', TOKEN, path), 'unauthenticated', path)
    }
  })

  it('takes the token as a password, which is what a browser asks for', () => {
    const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`
    assert.equal(access('0.0.0.0', TOKEN, '/', basic(`anybody:${TOKEN}`)), 'granted')
    assert.equal(access('0.0.0.0', TOKEN, '/', basic(`:${TOKEN}`)), 'granted')
    assert.equal(access('0.0.0.0', TOKEN, '/', basic(TOKEN)), 'unauthenticated')
    assert.equal(access('0.0.0.0', TOKEN, '/', basic(`${TOKEN}:`)), 'unauthenticated')
    assert.equal(access('0.0.0.0', TOKEN, '/', 'Basic %%%'), 'unauthenticated')
  })
})
