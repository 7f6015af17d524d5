import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import type { Exchange } from '../../../src/exchange/exchange'
import { buildRequestHeaders, createFieldRules } from '../../../src/upstream/request-headers'

const NO_FIELDS: ReadonlySet<string> = new Set()

describe('the header section for an upstream', () => {
  const rules = createFieldRules({ proxyOnlyHeaders: ['remote-user'], underscoreHeaders: false })

  function fieldsOf(
    socket: Socket,
    rawHeaders: readonly string[],
    more: object = {},
  ): Record<string, string | undefined> {
    const host = rawHeaders[rawHeaders.indexOf('Host') + 1]
    const exchange = {
      request: { headers: { host }, rawHeaders, socket, httpVersion: '1.1' },
      clientAddress: '192.0.2.1',
      peerIsTrusted: false,
      ...more,
    } as unknown as Exchange
    const flat = buildRequestHeaders(exchange, rules, NO_FIELDS)
    const names = flat.filter((_, i) => i % 2 === 0)
    assert.equal(new Set(names).size, names.length, String(names))
    return Object.fromEntries(names.map((name, i) => [name, flat[2 * i + 1]]))
  }

  it('names client and host of each request, also when they change on one connection', () => {
    const socket = new Socket()
    for (const [host, clientAddress, port] of [
      ['a.example', '192.0.2.1', '80'],
      ['a.example', '192.0.2.1', '80'],
      ['b.example:8080', '192.0.2.1', '8080'],
      // After a reload that changed the trusted proxies, or for streams of HTTP/2.
      ['b.example:8080', '2001:db8::1', '8080'],
      ['a.example', '192.0.2.1', '80'],
    ] as const) {
      const node = clientAddress.includes(':') ? `"[${clientAddress}]"` : clientAddress
      assert.deepEqual(fieldsOf(socket, ['Host', host], { clientAddress }), {
        forwarded: `for=${node};host="${host}";proto=http`,
        'x-forwarded-for': clientAddress,
        'x-forwarded-proto': 'http',
        via: '1.1 myesi-gateway',
        'x-forwarded-host': host,
        'x-real-ip': clientAddress,
        'x-forwarded-port': port,
      })
    }
  })

  it('judges names alike each time, in every spelling, for clients and for trusted proxies', () => {
    const said = { forwarded: undefined, for: '198.51.100.1', host: undefined, proto: undefined }
    const section = ['Host', 'a', 'X-Real-IP', '9', 'x-REAL-ip', '9', 'Remote-User', 'root', 'X-Ok', '1', 'A_B', '2']
    for (let i = 0; i < 3; i++) {
      const ofStranger = fieldsOf(new Socket(), section)
      assert.deepEqual(
        [ofStranger['x-real-ip'], ofStranger['remote-user'], ofStranger['x-ok'], ofStranger['a_b']],
        ['192.0.2.1', undefined, '1', undefined],
      )
      const fromProxy = ['Host', 'a', 'Remote-User', 'root', 'X-Ok', '1', 'A_B', '2']
      const ofProxy = fieldsOf(new Socket(), fromProxy, { peerIsTrusted: true, said })
      assert.deepEqual([ofProxy['remote-user'], ofProxy['x-ok'], ofProxy['a_b']], ['root', '1', '2'])
    }
  })

  it('stays right when clients invent more names than are remembered', () => {
    for (let i = 0; i < 5_000; i++) {
      const fields = fieldsOf(new Socket(), ['Host', 'a', `X-Name-${i}`, 'v', 'Remote-User', 'root'])
      assert.equal(fields[`x-name-${i}`], 'v')
      assert.equal(fields['remote-user'], undefined)
    }
  })
})
