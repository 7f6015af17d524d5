import assert from 'node:assert/strict'
import type { TraceSpan } from '../../../../src/incidents/evidence/otlp-trace'
import { redactSpan } from '../../../../src/incidents/evidence/redact-span'

const NOTHING = { clients: false, consumers: false, headers: [] }
const HARMLESS = { 'http.route': '/orders', 'http.response.status_code': '502', 'server.address': '10.0.0.7' }
const SECRETS = {
  'client.address': 'secret-address',
  'user_agent.original': 'secret-agent',
  'network.peer.address': 'secret-peer',
  'net.sock.peer.addr': 'secret-old-peer',
  'gateway.consumer.name': 'secret-consumer',
  'enduser.id': 'secret-user',
  'user.email': 'secret-mail',
  'http.request.header.authorization': 'secret-token',
  'http.request.header.x_api_key': 'secret-key',
  'http.response.header.set-cookie': 'secret-cookie',
  'url.query': 'secret=query',
  'url.full': 'http://10.0.0.7/orders?secret=query',
  'http.target': '/orders?secret=query',
}

describe('a span in a record', () => {
  it('says nothing of who the client is, and no header and no query', () => {
    const { attributes } = redactSpan(span({ ...HARMLESS, ...SECRETS }), NOTHING)
    assert.doesNotMatch(JSON.stringify(attributes), /secret/)
    const { 'gateway.consumer.name': consumer, 'url.full': url, 'http.target': target, ...rest } = attributes
    assert.match(consumer ?? '', /^[0-9a-f]{12}$/)
    assert.deepEqual([url, target], ['http://10.0.0.7/orders', '/orders'])
    assert.deepEqual(rest, HARMLESS)
  })

  it('keeps the address of a target', () => {
    const { attributes } = redactSpan({ ...span({ 'network.peer.address': '10.0.0.7' }), kind: 'client' }, NOTHING)
    assert.deepEqual(attributes, { 'network.peer.address': '10.0.0.7' })
  })

  it('says what the settings list', () => {
    const shown = { clients: true, consumers: true, headers: ['x-api-key'] }
    const { attributes } = redactSpan(span(SECRETS), shown)
    assert.equal(attributes['client.address'], 'secret-address')
    assert.equal(attributes['gateway.consumer.name'], 'secret-consumer')
    assert.equal(attributes['http.request.header.x_api_key'], 'secret-key')
    assert.equal(attributes['http.request.header.authorization'], undefined)
    assert.doesNotMatch(JSON.stringify(attributes), /query|token|cookie/)
  })
})

function span(attributes: Readonly<Record<string, string>>): TraceSpan {
  return {
    spanId: '1',
    parentSpanId: undefined,
    service: 'gateway',
    name: 'GET /orders',
    kind: 'server',
    startMs: 0,
    durationMs: 1,
    isError: true,
    attributes,
    exception: undefined,
  }
}
