import assert from 'node:assert/strict'
import { hashApiKey, newApiKey } from '../../src/cli/hash-key'
import { linesOf, problemOf, send, type Answer, type Message } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream, type SeenRequest } from '../support/start-upstream'

const ACME = newApiKey()
const ACME_NEXT = newApiKey()
const GLOBEX = newApiKey()
const CONSUMERS = {
  acme: { scopes: ['orders:read', 'orders:write'], apiKeys: [hashApiKey(ACME), hashApiKey(ACME_NEXT)] },
  globex: { scopes: ['orders:read'], apiKeys: [hashApiKey(GLOBEX)] },
}

describe('API keys', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream()
  })
  afterEach(async () => {
    await pipeline.stop()
    upstream.requests.length = 0
  })
  after(async () => {
    await upstream.stop()
  })

  async function start(auth: object | undefined = { apiKey: {} }, more: object = {}): Promise<void> {
    pipeline = await startPipeline(
      proxyTo(upstream.url, { consumers: CONSUMERS, route: { ...(auth && { auth }), ...more } }),
    )
  }
  const ask = (headers: Message['headers'] = {}): Promise<Answer> => send(pipeline.port, { path: '/app', headers })
  const seen = (): SeenRequest => upstream.requests.at(-1)!
  /** The values of a field that the upstream received. */
  const forwarded = (name: string): string[] => linesOf(seen(), name)

  it('admit their consumer, send its name to the upstream and remove the key', async () => {
    await start()
    for (const [key, name] of [
      [ACME, 'acme'],
      [ACME_NEXT, 'acme'],
      [GLOBEX, 'globex'],
    ] as const) {
      const answer = await ask({ 'X-API-Key': key })
      assert.equal(answer.status, 200)
      assert.deepEqual(forwarded('x-consumer-name'), [name])
      assert.deepEqual(forwarded('x-api-key'), [])
    }
    await pipeline.ended(3)
    assert.deepEqual(
      pipeline.logs.filter(({ event }) => event === 'request').map(({ consumer }) => consumer),
      ['acme', 'acme', 'globex'],
    )
  })

  it('are required by the routes that ask for them, with a challenge that names the scheme', async () => {
    await start({ apiKey: { header: 'x-key' } })
    const wrong: Record<string, string>[] = [
      {},
      { 'x-key': '' },
      { 'x-key': newApiKey() },
      { 'x-key': `${ACME} x` },
      { 'x-key': ACME.slice(0, -1) },
      { 'x-key': hashApiKey(ACME) },
      { 'x-key': ACME.toUpperCase() },
      { 'x-api-key': ACME },
      { authorization: `Bearer ${ACME}` },
    ]
    for (const headers of wrong) {
      const answer = await ask(headers)
      assert.partialDeepStrictEqual(problemOf(answer), {
        status: 401,
        outcome: 'refusal',
        reason: 'unauthenticated',
        title: 'Credentials are missing or not valid',
      })
      assert.equal(answer.headers['www-authenticate'], 'ApiKey realm="myesi-gateway", header="x-key"')
    }
    assert.equal(upstream.requests.length, 0)
    const counted = await pipeline.ended(wrong.length)
    assert.ok(counted.every(({ route, reason }) => route === '/app' && reason === 'unauthenticated'))
    assert.equal((await ask({ 'x-key': ACME })).status, 200)
  })

  it('are refused when a request has two, even if one is valid', async () => {
    await start()
    for (const lines of [
      ['x-api-key', ACME, 'X-Api-Key', GLOBEX],
      ['x-api-key', ACME, 'x-api-key', ACME],
      ['x-api-key', '', 'x-api-key', ACME],
      // CGI programs, and what came after them, see both spellings as one field.
      ['x-api-key', ACME, 'X_Api_Key', GLOBEX],
      ['x_api_key', GLOBEX, 'X-Api-Key', ACME],
      ['x_api_key', ACME],
    ]) {
      const answer = await ask(['Host', 'gateway', ...lines])
      assert.partialDeepStrictEqual(problemOf(answer), { status: 400, reason: 'bad_request' })
    }
    assert.equal(upstream.requests.length, 0)
  })

  it('must have every scope that the route requires', async () => {
    await start({ apiKey: {}, scopes: ['orders:read', 'orders:write'] })
    assert.equal((await ask({ 'x-api-key': ACME })).status, 200)
    const answer = await ask({ 'x-api-key': GLOBEX })
    assert.partialDeepStrictEqual(problemOf(answer), { status: 403, outcome: 'refusal', reason: 'forbidden' })
    assert.equal(
      answer.headers['www-authenticate'],
      'ApiKey realm="myesi-gateway", header="x-api-key", error="insufficient_scope", scope="orders:read orders:write"',
    )
    await pipeline.ended(2)
    assert.partialDeepStrictEqual(
      pipeline.logs.findLast(({ event }) => event === 'request'),
      {
        consumer: 'globex',
        reason: 'forbidden',
        error: { message: 'scopes are missing: orders:write' },
      },
    )
  })

  it('are passed on to the upstream where the route says so', async () => {
    await start({ apiKey: { forward: true } })
    assert.equal((await ask({ 'x-api-key': ACME })).status, 200)
    assert.deepEqual(forwarded('x-api-key'), [ACME])
  })

  it('protect the consumer’s name from a Connection field that tries to strip it', async () => {
    await start()
    const answer = await ask({ 'x-api-key': ACME, connection: 'close, x-consumer-name, x-api-key' })
    assert.equal(answer.status, 200)
    assert.deepEqual(forwarded('x-consumer-name'), ['acme'])
    assert.deepEqual(forwarded('x-api-key'), [])
  })

  for (const [what, auth, headers] of [
    ['a route that asks who it is', { apiKey: {} }, { 'x-api-key': ACME }],
    ['an open route', undefined, {}],
  ] as const) {
    it(`are the only source of a consumer’s name: on ${what} a client’s own fields are dropped`, async () => {
      const own = { 'X-Consumer-Name': 'globex', x_consumer_name: 'globex', 'x-consumer-tier': 'gold' }
      for (const trustedProxies of [[], ['127.0.0.1']]) {
        pipeline = await startPipeline(
          proxyTo(upstream.url, {
            entrypoint: { trustedProxies },
            consumers: CONSUMERS,
            route: auth && { auth },
          } as Parameters<typeof proxyTo>[1]),
        )
        assert.equal((await ask({ ...headers, ...own })).status, 200)
        assert.deepEqual(forwarded('x-consumer-name'), auth === undefined ? [] : ['acme'])
        assert.deepEqual(forwarded('x-consumer-tier'), [])
        if (trustedProxies.length === 0) await pipeline.stop()
      }
    })
  }

  it('cannot be guessed without limit: the limit by address is checked first', async () => {
    await start({ apiKey: {} }, { rateLimit: { limit: 5, window: '1h' } })
    const statuses = []
    for (let i = 0; i < 8; i++) statuses.push((await ask({ 'x-api-key': newApiKey() })).status)
    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429, 429, 429])
    assert.equal((await ask({ 'x-api-key': ACME })).status, 429, 'a lucky guess is not let in either')
  })

  it('never appear in a log line, valid or invalid', async () => {
    await start()
    const wrong = newApiKey()
    for (const key of [ACME, wrong]) await ask({ 'x-api-key': key })
    await ask(['Host', 'gateway', 'x-api-key', ACME, 'x-api-key', wrong])
    await pipeline.ended(3)
    const logged = JSON.stringify(pipeline.logs)
    for (const key of [ACME, wrong]) assert.ok(!logged.includes(key.slice(6, 20)), 'a key was logged')
  })
})
