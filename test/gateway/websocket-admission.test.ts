import assert from 'node:assert/strict'
import { hashApiKey, newApiKey } from '../../src/cli/hash-key'
import { problemOf, type Answer } from '../support/send'
import { AUDIENCE, ISSUER, newIssuerKey, sign, startIssuer } from '../support/start-issuer'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { until } from '../support/until'
import {
  closeOf,
  messageOn,
  openWebSocket,
  refusedWebSocket,
  startWebSocketUpstream,
  type WebSocketUpstream,
} from '../support/web-sockets'

const ACME = newApiKey()
const GLOBEX = newApiKey()
const CONSUMERS = {
  acme: { scopes: ['chat'], apiKeys: [hashApiKey(ACME)] },
  globex: { apiKeys: [hashApiKey(GLOBEX)] },
}

describe('a WebSocket handshake, before it reaches the upstream, is checked for', () => {
  let upstream: WebSocketUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startWebSocketUpstream()
  })
  afterEach(async () => {
    await pipeline.stop()
    assert.equal(upstream.requests.length, 0, 'a handshake was passed on as a plain request')
    upstream.handshakes.length = 0
  })
  after(async () => {
    await upstream.stop()
  })

  const withKey = (key: string): { headers: Record<string, string> } => ({ headers: { 'x-api-key': key } })
  const refused = (options: object = {}): Promise<Answer> => refusedWebSocket(`${pipeline.url}/app`, options)
  /** Opens a WebSocket, and exchanges one message. */
  async function talk(options: object): Promise<void> {
    const socket = await openWebSocket(`${pipeline.url}/app`, options)
    socket.send('hello')
    assert.equal(await messageOn(socket), 'hello')
    socket.close()
    await closeOf(socket)
  }
  const consumers = (): unknown[] =>
    pipeline.logs.filter(({ event }) => event === 'request').map(({ status, consumer }) => [status, consumer])

  it('an API key', async () => {
    pipeline = await startPipeline(proxyTo(upstream.url, { consumers: CONSUMERS, route: { auth: { apiKey: {} } } }))
    for (const options of [{}, withKey(newApiKey())]) {
      const answer = await refused(options)
      assert.deepEqual([answer.status, problemOf(answer)['reason']], [401, 'unauthenticated'])
      assert.equal(answer.headers['www-authenticate'], 'ApiKey realm="myesi-gateway", header="x-api-key"')
      assert.equal(answer.headers.connection, 'close')
    }
    assert.equal(upstream.handshakes.length, 0)
    await talk(withKey(ACME))
    const { headers } = upstream.handshakes[0]!
    assert.deepEqual([headers['x-consumer-name'], headers['x-api-key']], ['acme', undefined])
    await pipeline.ended(3)
    assert.deepEqual(consumers(), [
      [401, undefined],
      [401, undefined],
      [101, 'acme'],
    ])
  })

  it('the scopes of the API key', async () => {
    const auth = { apiKey: {}, scopes: ['chat'] }
    pipeline = await startPipeline(proxyTo(upstream.url, { consumers: CONSUMERS, route: { auth } }))
    const answer = await refused(withKey(GLOBEX))
    assert.deepEqual([answer.status, problemOf(answer)['reason']], [403, 'forbidden'])
    assert.equal(upstream.handshakes.length, 0)
    await talk(withKey(ACME))
  })

  it('a token', async () => {
    const key = await newIssuerKey('one')
    const issuer = await startIssuer([key.publicJwk])
    pipeline = await startPipeline(
      proxyTo(upstream.url, {
        tokens: { sso: { issuer: ISSUER, audience: AUDIENCE, jwks: issuer.url } },
        route: { auth: { jwt: { tokens: 'sso' } } },
      }),
    )
    const withToken = (token: string): object => ({ headers: { authorization: `Bearer ${token}` } })
    for (const options of [{}, withToken(await sign(key, { exp: 1 })), withToken(await sign(key, { aud: 'others' }))]) {
      const answer = await refused(options)
      assert.deepEqual([answer.status, problemOf(answer)['reason']], [401, 'unauthenticated'])
      assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer realm="myesi-gateway"/)
    }
    assert.equal(upstream.handshakes.length, 0)
    await talk(withToken(await sign(key)))
    assert.equal(upstream.handshakes[0]?.headers['x-consumer-name'], 'sso/alice')
    await pipeline.ended(4)
    assert.deepEqual(consumers().at(-1), [101, 'sso/alice'])
    await issuer.stop()
  })

  it('the number of WebSockets that its client has open, also behind a trusted proxy', async () => {
    const entrypoint = { trustedProxies: ['127.0.0.1'], maxWebSocketsPerClient: 2, maxConnectionsPerClient: 1 }
    pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint }))
    const from = (address: string): object => ({ headers: { 'x-forwarded-for': address } })
    const open = await Promise.all(
      ['192.0.2.1', '192.0.2.1', '2001:db8::1', '2001:db8::2'].map(address =>
        openWebSocket(`${pipeline.url}/app`, from(address)),
      ),
    )
    for (const address of ['192.0.2.1', '2001:db8::3']) {
      const answer = await refused(from(address))
      assert.deepEqual([answer.status, problemOf(answer)['reason']], [429, 'limited'])
    }
    await talk(from('192.0.2.2'))
    open[0]!.close()
    await closeOf(open[0]!)
    await until(
      () =>
        talk(from('192.0.2.1')).then(
          () => true,
          () => false,
        ),
      { what: 'a place is free again' },
    )
    for (const socket of open) socket.terminate()
  })

  it('a limit by consumer', async () => {
    const route = { auth: { apiKey: {} }, rateLimit: { limit: 1, window: '1h', key: 'consumer' } }
    pipeline = await startPipeline(proxyTo(upstream.url, { consumers: CONSUMERS, route }))
    await talk(withKey(ACME))
    const answer = await refused(withKey(ACME))
    assert.deepEqual([answer.status, problemOf(answer)['reason']], [429, 'limited'])
    assert.ok(Number(answer.headers['retry-after']) > 0)
    await talk(withKey(GLOBEX))
    assert.equal(upstream.handshakes.length, 2)
    await pipeline.ended(3)
    assert.deepEqual(consumers(), [
      [101, 'acme'],
      [429, 'acme'],
      [101, 'globex'],
    ])
  })

  for (const [whose, file] of [
    ['the entrypoint', { entrypoint: { access: { deny: ['127.0.0.2'] } } }],
    ['the route', { route: { access: { allow: ['127.0.0.1'] } } }],
  ] as const) {
    it(`the access list of ${whose}`, async () => {
      pipeline = await startPipeline(proxyTo(upstream.url, file))
      const answer = await refused({ localAddress: '127.0.0.2' })
      assert.deepEqual([answer.status, problemOf(answer)['reason']], [403, 'forbidden'])
      assert.equal(upstream.handshakes.length, 0)
      await talk({ localAddress: '127.0.0.1' })
    })
  }

  it('the limit of requests in flight, and counts there while it is open', async () => {
    pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint: { overload: { maxRequests: 1 } } }))
    const socket = await openWebSocket(`${pipeline.url}/app`)
    const answer = await refused()
    assert.deepEqual([answer.status, problemOf(answer)['reason']], [503, 'shed'])
    assert.match(answer.headers['retry-after'] ?? '', /^[1-5]$/)
    assert.equal(upstream.handshakes.length, 1)
    socket.close()
    await closeOf(socket)
    await until(() => pipeline.counted.length === 2, { what: 'it is no longer in flight' })
    await talk({})
  })

  it('maintenance', async () => {
    pipeline = await startPipeline(proxyTo(upstream.url, { route: { maintenance: { retryAfter: '10m' } } }))
    const answer = await refused()
    assert.deepEqual([answer.status, problemOf(answer)['reason']], [503, 'maintenance'])
    assert.equal(answer.headers['retry-after'], '600')
    assert.equal(upstream.handshakes.length, 0)
  })
})
