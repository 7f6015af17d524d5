import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import type { Attributes, Span } from '@opentelemetry/api'
import type { Exchange } from '../../../src/exchange/exchange'
import { describe as describeRequest } from '../../../src/observe/server-span'

/** What the span says of a request from this client. */
function attributesOf(clientAddress: string): Attributes {
  const said: Attributes = {}
  const span = {
    setAttribute: (name: string, value: string) => Object.assign(said, { [name]: value }),
    setAttributes: (attributes: Attributes) => Object.assign(said, attributes),
  }
  const request = { headers: {}, httpVersion: '1.1', socket: {} } as unknown as IncomingMessage
  const exchange = { request, clientAddress, statusCode: 200, outcome: 'ok', host: '', path: '/' }
  describeRequest(span as unknown as Span, exchange as unknown as Exchange, 'GET')
  return said
}

describe('the SERVER span', () => {
  it('has client.address, but for a client that a trusted proxy does not know', () => {
    assert.equal(attributesOf('192.0.2.1')['client.address'], '192.0.2.1')
    assert.ok(!('client.address' in attributesOf('')))
  })
})
