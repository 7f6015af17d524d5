import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GatewayError } from '../../../src/errors/gateway-error'
import { writeHeaderSection } from '../../../src/upstream/response-headers'
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
