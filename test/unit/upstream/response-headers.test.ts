import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GatewayError } from '../../../src/errors/gateway-error'
import type { Dispatcher } from 'undici'
import type { Exchange } from '../../../src/exchange/exchange'
import { buildResponseHeaders, writeHeaderSection } from '../../../src/upstream/response-headers'
import { answerOf, open, responseTo } from '../../support/send'

describe('a header section that Node refuses to write', () => {
  let answer: (response: ServerResponse) => void
  const server = createServer((_request, response) => answer(response))

  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  after(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })

  for (const status of [101, 200, 204, 304, 404]) {
    for (const ownFields of [false, true]) {
      it(`leaves room for a whole error after a ${status}${ownFields ? ', beside fields of ours' : ''}`, async () => {
        let thrown: unknown
        answer = response => {
          if (ownFields) response.setHeader('RateLimit', 'r=1')
          try {
            const fields = ['Content-Encoding', 'gzip', 'Date', 'today', 'Trailer', 'X-Sum', 'X-Bad', 'a\x00b']
            writeHeaderSection(response, status, '', fields)
          } catch (error) {
            thrown = error
          }
          response.writeHead(502, 'Bad Gateway', ['Content-Length', '5'])
          response.end('error')
        }
        const sent = open((server.address() as AddressInfo).port, { path: '/' })
        sent.end()
        const received = await answerOf(await responseTo(sent))
        assert.ok(thrown instanceof GatewayError)
        assert.equal(thrown.reason, 'bad_response')
        assert.deepEqual([received.status, received.text], [502, 'error'])
        for (const name of ['content-encoding', 'trailer', 'x-bad']) assert.equal(received.headers[name], undefined)
        assert.equal(received.headers['ratelimit'], ownFields ? 'r=1' : undefined)
        assert.match(received.headers.date ?? '', /GMT$/)
      })
    }
  }
})

describe('the header section of an upstream', () => {
  /** What the gateway returns of a section, which undici gives as bytes and as parsed fields. */
  function returned(section: readonly string[]): string[] {
    const rawHeaders = section.map(text => Buffer.from(text, 'latin1'))
    const parsed = Object.create(null) as Record<string, string | string[]>
    for (let i = 0; i < section.length; i += 2) {
      const name = (section[i] as string).toLowerCase()
      const before = parsed[name]
      parsed[name] = before === undefined ? (section[i + 1] as string) : [before, section[i + 1] as string].flat()
    }
    const controller = { rawHeaders } as unknown as Dispatcher.DispatchController
    return buildResponseHeaders({} as Exchange, controller, 200, parsed, true)
  }

  it('keeps spelling, order, bytes and repeated fields', () => {
    const section = [
      'SERVER',
      'a',
      'Set-Cookie',
      'a=1',
      'server',
      'b',
      'set-cookie',
      'b=2',
      'X-Name',
      'zo\xeb',
      '',
      'x',
    ]
    for (let i = 0; i < 2; i++) assert.deepEqual(returned(section), section)
    const strange = ['__proto__', 'a', 'constructor', 'b', 'toString', 'c']
    for (let i = 0; i < 2; i++) assert.deepEqual(returned(strange), strange)
  })

  it('keeps each of many names, also those that are remembered in the same place', () => {
    const names = Array.from({ length: 20_000 }, (_, i) => `X-${i.toString(36)}-${(i * 7919) % 10_007}`)
    for (const name of [...names, ...names.toReversed(), 'X'.repeat(200)]) {
      assert.deepEqual(returned([name, 'v', 'Connection', 'close']), [name, 'v'])
    }
  })

  it('never returns what belongs to the connection, in any spelling', () => {
    for (const name of ['Connection', 'KEEP-ALIVE', 'te', 'Transfer-Encoding', 'X-Named']) {
      for (let i = 0; i < 2; i++) assert.deepEqual(returned([name, 'x-named', 'Connection', 'X-Named']), [])
    }
    assert.deepEqual(returned(['X-Named', 'v']), ['X-Named', 'v'])
  })
})
