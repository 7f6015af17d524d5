import assert from 'node:assert/strict'
import { once } from 'node:events'
import { hashApiKey, newApiKey } from '../../src/cli/hash-key'
import { open, problemOf, send, type Answer } from '../support/send'
import { configOf, proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const KEY = newApiKey()

describe('external authorization', () => {
  let upstream: RunningUpstream
  let authorizer: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream()
  })
  beforeEach(async () => {
    authorizer = await startUpstream((_request, response) => response.writeHead(204).end())
  })
  afterEach(async () => {
    await pipeline.stop()
    await authorizer.stop()
    upstream.requests.length = 0
  })
  after(() => upstream.stop())

  interface Options {
    readonly auth?: object
    readonly entrypoint?: object
    readonly route?: object
    readonly authz?: object
    readonly consumers?: object
  }
  async function start(
    external: object = {},
    { auth, entrypoint, route, authz, consumers }: Options = {},
  ): Promise<void> {
    const file = proxyTo(upstream.url, {
      ...(entrypoint && { entrypoint }),
      consumers: consumers ?? { acme: { apiKeys: [hashApiKey(KEY)] } },
      route: { auth: { external: { upstream: 'authz', path: '/verify?a=1', ...external }, ...auth }, ...route },
    })
    pipeline = await startPipeline({
      ...file,
      upstreams: { ...file.upstreams, authz: { targets: [authorizer.url], ...authz } },
    })
  }
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> =>
    send(pipeline.port, { path, headers, method })
  const checked = (): RunningUpstream['requests'][number] | undefined => authorizer.requests.at(-1)
  const forwarded = (name: string): unknown => upstream.requests.at(-1)?.headers[name]
  const lastLine = (): Record<string, unknown> | undefined => pipeline.logs.findLast(({ event }) => event === 'request')

  it('sends the authorizer a description of the request, the chosen fields and no body', async () => {
    await start({ requestHeaders: ['authorization', 'x-tenant'] })
    const answer = await send(pipeline.port, {
      method: 'POST',
      path: '/app//a%7Eb?x=1',
      headers: {
        authorization: 'Bearer t',
        'x-tenant': 'blue',
        cookie: 'a=1',
        'x-forwarded-method': 'GET',
        'x-forwarded-uri': '/public',
        'x-forwarded-for': '10.0.0.1',
        'x-original-url': '/public',
      },
      body: 'secret',
    })
    assert.equal(answer.status, 200)
    const { method, url, headers } = checked() ?? assert.fail()
    assert.equal(method, 'GET')
    assert.equal(url, '/verify?a=1')
    assert.partialDeepStrictEqual(headers, {
      authorization: 'Bearer t',
      'x-tenant': 'blue',
      'x-forwarded-method': 'POST',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': `127.0.0.1:${pipeline.port}`,
      'x-forwarded-uri': '/app/a~b?x=1',
      'x-forwarded-for': '127.0.0.1',
      'x-real-ip': '127.0.0.1',
      via: '1.1 myesi-gateway',
      host: authorizer.url.slice('http://'.length),
    })
    assert.equal(headers.cookie, undefined)
    assert.equal(headers['content-length'], undefined)
    assert.equal(headers['x-original-url'], undefined)
    assert.equal(typeof headers['x-request-id'], 'string')
  })

  it('describes the request as a trusted proxy received it', async () => {
    await start({}, { entrypoint: { trustedProxies: ['127.0.0.1'] } })
    const headers = {
      'x-forwarded-for': '203.0.113.9',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'shop.example',
    }
    await ask('/app', headers)
    assert.partialDeepStrictEqual(checked()?.headers, {
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'shop.example',
      'x-forwarded-for': '203.0.113.9, 127.0.0.1',
      'x-real-ip': '203.0.113.9',
    })
  })

  it('may be given as a URL', async () => {
    const file = proxyTo(upstream.url, { route: { auth: { external: { url: `${authorizer.url}/check?q=2` } } } })
    pipeline = await startPipeline(file)
    assert.equal((await ask('/app')).status, 200)
    assert.equal(checked()?.url, '/check?q=2')
    const [, named] = pipeline.upstreams()
    assert.equal(named?.name, `external-auth/${authorizer.url.slice('http://'.length)}`)
  })

  it('gives the upstream the chosen fields of the answer, and never those of the client', async () => {
    authorizer.handler = (_request, response) =>
      response
        .writeHead(200, { 'X-Auth-Request-User': 'alice', Authorization: 'Bearer inner', 'X-Other': 'no' })
        .end('fine')
    await start({ upstreamHeaders: ['x-auth-request-user', 'x-auth-request-email', 'authorization'] })
    const forged = {
      'X-Auth-Request-User': 'root',
      'x-auth-request-email': 'root@example.com',
      authorization: 'Bearer outer',
    }
    assert.equal((await ask('/app', forged)).status, 200)
    assert.equal(forwarded('x-auth-request-user'), 'alice')
    assert.equal(forwarded('x-auth-request-email'), undefined)
    assert.equal(forwarded('authorization'), 'Bearer inner')
    assert.equal(forwarded('x-other'), undefined)
  })

  it('passes a refusal on: status, body and chosen fields', async () => {
    authorizer.handler = (_request, response) =>
      response
        .writeHead(401, {
          'WWW-Authenticate': 'Bearer realm="x"',
          'Set-Cookie': ['a=1', 'b=2'],
          'Content-Type': 'text/plain',
          'X-Internal': 'no',
        })
        .end('who are you?')
    await start()
    const answer = await ask('/app')
    assert.equal(answer.status, 401)
    assert.equal(answer.text, 'who are you?')
    assert.equal(answer.headers['www-authenticate'], 'Bearer realm="x"')
    assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2'])
    assert.equal(answer.headers['content-type'], 'text/plain')
    assert.equal(answer.headers['x-internal'], undefined)
    assert.equal(upstream.requests.length, 0)
    await pipeline.ended(1)
    assert.partialDeepStrictEqual(lastLine(), { status: 401, outcome: 'refusal', reason: 'unauthenticated' })
  })

  for (const [status, reason] of [
    [302, 'unauthenticated'],
    [403, 'forbidden'],
    [429, 'limited'],
  ] as const) {
    it(`records a refusal with ${status} as ${reason}`, async () => {
      authorizer.handler = (_request, response) => response.writeHead(status, { Location: '/login' }).end()
      await start()
      const answer = await ask('/app')
      assert.equal(answer.status, status)
      assert.equal(answer.headers.location, '/login')
      await pipeline.ended(1)
      assert.equal(lastLine()?.['reason'], reason)
    })
  }

  it('leaves out a body that is larger than maxBody', async () => {
    authorizer.handler = (_request, response) => response.writeHead(403).end('x'.repeat(100_000))
    await start({ maxBody: '1KiB' })
    const answer = await ask('/app')
    assert.deepEqual([answer.status, answer.text], [403, ''])
  })

  it('adds cookies of an allowing answer to the response of the upstream', async () => {
    authorizer.handler = (_request, response) => response.writeHead(202, { 'Set-Cookie': '_oauth2_proxy=new' }).end()
    upstream.handler = (_request, response) => response.writeHead(200, { 'Set-Cookie': 'own=1' }).end()
    await start()
    assert.deepEqual((await ask('/app')).headers['set-cookie'], ['own=1', '_oauth2_proxy=new'])
    upstream.handler = (_request, response) => response.end('ok')
  })

  it('redirects browsers to signIn instead of a 401', async () => {
    authorizer.handler = (_request, response) => response.writeHead(401, { 'Set-Cookie': 'csrf=1' }).end()
    await start({ signIn: '/oauth2/sign_in?rd={uri}' })
    const page = await ask('/app?a=1&b=2', { accept: 'text/html,*/*' })
    assert.equal(page.status, 302)
    assert.equal(page.headers.location, '/oauth2/sign_in?rd=%2Fapp%3Fa%3D1%26b%3D2')
    assert.deepEqual(page.headers['set-cookie'], ['csrf=1'])
    assert.equal((await ask('/app', { accept: 'application/json' })).status, 401)
    assert.equal((await ask('/app', { accept: 'text/html' }, 'POST')).status, 401)
  })

  it('is asked only after the other credentials are valid, and gets the consumer', async () => {
    await start({}, { auth: { apiKey: {} } })
    assert.equal((await ask('/app')).status, 401)
    assert.equal(authorizer.requests.length, 0)
    assert.equal((await ask('/app', { 'x-api-key': KEY, 'x-consumer-name': 'root' })).status, 200)
    assert.equal(checked()?.headers['x-consumer-name'], 'acme')
  })

  it('does not send a credential that was taken out of the query', async () => {
    await start({}, { auth: { apiKey: { query: 'key' } } })
    assert.equal((await ask(`/app?key=${KEY}&a=1`)).status, 200)
    assert.equal(checked()?.headers['x-forwarded-uri'], '/app?a=1')
  })

  it('may name the consumer, who is known to limits, log and upstream', async () => {
    authorizer.handler = ({ headers }, response) => response.writeHead(200, { 'X-User': headers.authorization }).end()
    await start(
      { consumerHeader: 'x-user' },
      {
        consumers: { acme: { subjects: ['external/alice'] } },
        route: { rateLimit: { limit: 1, window: '1m', key: 'consumer' } },
      },
    )
    assert.equal((await ask('/app', { authorization: 'alice' })).status, 200)
    assert.equal(forwarded('x-consumer-name'), 'acme')
    assert.equal((await ask('/app', { authorization: 'alice' })).status, 429)
    assert.equal((await ask('/app', { authorization: 'bob' })).status, 200)
    assert.equal(forwarded('x-consumer-name'), 'external/bob')
    await pipeline.ended(3)
    assert.equal(lastLine()?.['consumer'], 'external/bob')
  })

  describe('that fails', () => {
    const failures: readonly (readonly [string, RegExp, () => void | Promise<void>])[] = [
      ['refuses connections', /connect_refused/, () => authorizer.stop()],
      [
        'answers 500',
        /bad_response: the authorizer answered 500/,
        () => void (authorizer.handler = (_, response) => response.writeHead(500).end()),
      ],
      ['does not answer', /response_timeout/, () => void (authorizer.handler = () => {})],
      ['breaks the connection', /reset/, () => void (authorizer.handler = ({ socket }) => socket.destroy())],
      [
        'does not speak HTTP',
        /bad_response/,
        () => void (authorizer.handler = ({ socket }) => socket.end('nonsense\r\n\r\n')),
      ],
    ]
    for (const [what, why, fail] of failures) {
      it(`refuses requests with 503: it ${what}`, async () => {
        await start({ timeout: '200ms' })
        await fail()
        const answer = await ask('/app')
        assert.partialDeepStrictEqual(problemOf(answer), {
          status: 503,
          outcome: 'fault',
          reason: 'authorizer_unavailable',
        })
        assert.equal(answer.headers['retry-after'], '1')
        assert.equal(upstream.requests.length, 0)
        await pipeline.ended(1)
        assert.match(JSON.stringify(lastLine()?.['error']), why)
      })

      it(`lets requests in with failureMode: allow, without fields of the client's own: it ${what}`, async () => {
        await start({ timeout: '200ms', failureMode: 'allow', upstreamHeaders: ['x-user'] })
        await fail()
        assert.equal((await ask('/app', { 'x-user': 'root' })).status, 200)
        assert.equal(forwarded('x-user'), undefined)
        await pipeline.ended(1)
        assert.partialDeepStrictEqual(lastLine(), { status: 200, external_auth: 'failed_open' })
      })
    }

    it('writes one log line at the beginning of an outage, and one at its end', async () => {
      await start({ failureMode: 'allow' })
      const lines = (): unknown[] =>
        pipeline.logs.filter(({ event }) => event === 'external_auth').map(({ msg }) => msg)
      authorizer.handler = (_request, response) => response.writeHead(500).end()
      for (let i = 0; i < 3; i++) await ask('/app')
      assert.deepEqual(lines(), ['external authorization fails'])
      authorizer.handler = (_request, response) => response.end()
      for (let i = 0; i < 2; i++) await ask('/app')
      assert.deepEqual(lines(), ['external authorization fails', 'external authorization works again'])
    })

    it('is not asked while its circuit is open', async () => {
      await start({}, { authz: { circuitBreaker: { failures: 2, openFor: '1m', conditions: [503] } } })
      authorizer.handler = (_request, response) => response.writeHead(503).end()
      for (let i = 0; i < 4; i++) assert.equal((await ask('/app')).status, 503)
      assert.equal(authorizer.requests.length, 2)
      await pipeline.ended(4)
      assert.match(JSON.stringify(lastLine()?.['error']), /circuit_open/)
    })

    it('is replaced by another target that accepts connections', async () => {
      const gone = await startUpstream()
      await gone.stop()
      await start({}, { authz: { targets: [gone.url, authorizer.url] } })
      for (let i = 0; i < 4; i++) assert.equal((await ask('/app')).status, 200)
    })

    it('is asked again when it closed a kept connection just then', async () => {
      await start()
      assert.equal((await ask('/app')).status, 200)
      let asked = 0
      authorizer.handler = ({ socket }, response) => (asked++ === 0 ? socket.destroy() : response.end())
      assert.equal((await ask('/app')).status, 200)
      assert.equal(asked, 2)
    })
  })

  it('gets at most maxConcurrent checks at once, and others are refused also with failureMode: allow', async () => {
    const waiting: (() => void)[] = []
    authorizer.handler = (_request, response) => void waiting.push(() => response.end())
    await start({ maxConcurrent: 2, failureMode: 'allow' })
    const first = [ask('/app'), ask('/app')]
    await until(() => waiting.length === 2, { what: 'two checks are open' })
    assert.partialDeepStrictEqual(problemOf(await ask('/app')), { status: 503, reason: 'authorizer_unavailable' })
    for (const answer of waiting) answer()
    assert.deepEqual(
      (await Promise.all(first)).map(({ status }) => status),
      [200, 200],
    )
    assert.equal(
      (
        await Promise.all([
          ask('/app'),
          until(() => waiting.length === 3, { what: 'a third check is open' }).then(() => waiting[2]?.()),
        ])
      )[0].status,
      200,
    )
  })

  it('is told nothing more when the client leaves', async () => {
    let isAborted = false
    authorizer.handler = ({ socket }) => void socket.on('close', () => (isAborted = true))
    await start({ timeout: '30s' })
    const client = open(pipeline.port, { path: '/app' })
    client.on('error', () => {})
    client.end()
    await until(() => authorizer.requests.length === 1, { what: 'the authorizer is asked' })
    client.destroy()
    await until(() => isAborted, { what: 'the check is aborted' })
    await pipeline.ended(1)
    assert.equal(pipeline.counted[0]?.reason, 'client_closed')
    const [, authz] = pipeline.upstreams()
    assert.equal(authz?.targets[0]?.activeCalls, 0)
    assert.equal(upstream.requests.length, 0)
  })

  it('does not go round in circles when the authorizer is the gateway itself', async () => {
    await start()
    let passes = 0
    authorizer.handler = (request, response) => {
      passes++
      void send(pipeline.port, { path: '/app', headers: { via: request.headers.via ?? '' } }).then(({ status }) =>
        response.writeHead(status).end(),
      )
    }
    assert.equal((await ask('/app')).status, 503)
    assert.ok(passes <= 7, `${passes} passes`)
    assert.ok(pipeline.counted.some(({ reason }) => reason === 'loop_detected'))
  })

  it('guards WebSocket handshakes too', async () => {
    authorizer.handler = ({ headers }, response) => response.writeHead(headers.cookie === 's=1' ? 200 : 403).end()
    await start({}, { route: { websocket: true } })
    upstream.server.on('upgrade', (_request, socket) =>
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
    )
    const handshake = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    }
    assert.equal((await ask('/app', handshake)).status, 403)
    const client = open(pipeline.port, { path: '/app', headers: { ...handshake, cookie: 's=1' } })
    client.end()
    const [response, socket] = (await once(client, 'upgrade')) as [{ statusCode: number }, { destroy(): void }]
    assert.equal(response.statusCode, 101)
    socket.destroy()
  })

  describe('with a cache', () => {
    const asAlice = { authorization: 'Bearer alice' }

    it('uses an allowing answer again, for the same request and the same fields only', async () => {
      authorizer.handler = (_request, response) => response.writeHead(200, { 'X-User': 'alice' }).end()
      await start({ cache: { ttl: '1m' }, upstreamHeaders: ['x-user'], consumerHeader: 'x-user' })
      for (let i = 0; i < 3; i++) assert.equal((await ask('/app/a', asAlice)).status, 200)
      assert.equal(authorizer.requests.length, 1)
      assert.equal(forwarded('x-user'), 'alice')
      assert.equal(forwarded('x-consumer-name'), 'external/alice')
      await ask('/app/b', asAlice)
      await ask('/app/a?x=1', asAlice)
      await ask('/app/a', asAlice, 'POST')
      await ask('/app/a', { authorization: 'Bearer bob' })
      assert.equal(authorizer.requests.length, 5)
    })

    it('uses it for all paths with perPath: false', async () => {
      await start({ cache: { ttl: '1m', perPath: false } })
      for (const path of ['/app/a', '/app/b', '/app/c?x']) await ask(path, asAlice)
      assert.equal(authorizer.requests.length, 1)
    })

    it('forgets it after ttl, and the oldest one above size', async () => {
      await start({ cache: { ttl: '100ms', size: 1 } })
      await ask('/app', asAlice)
      await ask('/app', asAlice)
      assert.equal(authorizer.requests.length, 1)
      await until(
        async () => {
          await ask('/app', asAlice)
          return authorizer.requests.length === 2
        },
        { what: 'the answer is forgotten' },
      )
      await ask('/app', { authorization: 'Bearer bob' })
      await ask('/app', asAlice)
      assert.equal(authorizer.requests.length, 4)
    })

    it('keeps no refusal, no answer with cookies, and none for requests without the fields', async () => {
      await start({ cache: { ttl: '1m' } })
      await ask('/app')
      await ask('/app')
      assert.equal(authorizer.requests.length, 2)
      authorizer.handler = (_request, response) => response.writeHead(200, { 'Set-Cookie': 'a=1' }).end()
      await ask('/app', asAlice)
      await ask('/app', asAlice)
      assert.equal(authorizer.requests.length, 4)
      authorizer.handler = (_request, response) => response.writeHead(403).end()
      await ask('/app', asAlice)
      assert.equal((await ask('/app', asAlice)).status, 403)
      assert.equal(authorizer.requests.length, 6)
    })
  })

  describe('in gateway.yaml', () => {
    const problems = (external: object, auth: object = {}): string => {
      try {
        configOf({
          upstreams: { app: { targets: ['http://127.0.0.1:1'] }, authz: { targets: ['http://127.0.0.1:2'] } },
          routes: [
            { name: 'app', match: { path: '/app' }, upstream: 'app', auth: { external, ...auth } },
            { name: 'b', match: { path: '/b' }, upstream: 'authz' },
          ],
        })
        return ''
      } catch (error) {
        return (error as Error).message
      }
    }

    before(async () => {
      // The hooks of the whole suite stop a pipeline after each test.
      await start()
    })

    it('is refused with a reason', () => {
      assert.match(problems({}), /does not say who is asked/)
      assert.match(problems({ upstream: 'autz' }), /is not an upstream of this file.*\n?.*authz/s)
      assert.match(problems({ upstream: 'authz', url: 'http://127.0.0.1:2/' }), /says again what "url" says/)
      assert.match(problems({ url: 'http://user:pw@127.0.0.1:2/' }), /has credentials in it/)
      assert.doesNotMatch(problems({ url: 'http://user:pw@127.0.0.1:2/' }), /pw@/)
      assert.match(
        problems({ upstream: 'authz', upstreamHeaders: ['x-forwarded-for'] }),
        /what the gateway itself says/,
      )
      assert.match(problems({ upstream: 'authz', requestHeaders: ['content-length'] }), /belongs to the connection/)
      assert.match(problems({ upstream: 'authz', signIn: '//evil.example' }), /is neither a path nor a URL/)
      assert.match(problems({ upstream: 'authz', signIn: '/x?{rd}' }), /has "\{rd\}" in it/)
      assert.match(problems({ upstream: 'authz' }, { scopes: ['a'] }), /the external authorizer decides itself/)
      assert.match(problems({ upstream: 'authz', consumerHeader: 'x-user' }, { apiKey: {} }), /does so already/)
      assert.match(problems({ upstream: 'authz', cache: {} }), /ttl.*missing/s)
      assert.equal(problems({ upstream: 'authz' }), '')
    })
  })
})
