import assert from 'node:assert/strict'
import type { Pool } from 'undici'
import type { ServerResponse } from 'node:http'
import { Target } from '../../src/upstream/target'
import { settingsOfTargets } from '../../src/upstream/upstream'
import { toGatewayError } from '../../src/upstream/upstream-errors'
import { rawExchange } from '../support/raw-http'
import { answerOf, open, responseTo, send, type Answer } from '../support/send'
import {
  AUDIENCE,
  ISSUER,
  newIssuerKey,
  sign,
  startIssuer,
  type IssuerKey,
  type RunningIssuer,
} from '../support/start-issuer'
import {
  configOf,
  openConnections,
  proxyTo,
  startPipeline,
  type GatewayFile,
  type Pipeline,
} from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { startLoad } from '../support/under-load'
import { until } from '../support/until'
import {
  closeOf,
  messageOn,
  openWebSocket,
  refusedWebSocket,
  startWebSocketUpstream,
  type WebSocketUpstream,
} from '../support/web-sockets'

describe('a configuration reload', () => {
  let first: RunningUpstream
  let second: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    first = await startUpstream((_request, response) => response.end('first'))
    second = await startUpstream((_request, response) => response.end('second'))
  })
  afterEach(async () => {
    await pipeline.stop()
    await first.stop()
    await second.stop()
  })

  it('applies to the next request', async () => {
    pipeline = await startPipeline(proxyTo(first.url))
    assert.equal((await send(pipeline.port, '/app')).text, 'first')
    pipeline.reload(proxyTo(second.url, { route: { match: { path: '/moved' } } }))
    assert.equal((await send(pipeline.port, '/app')).status, 404)
    assert.equal((await send(pipeline.port, '/moved')).text, 'second')
  })

  it('lets exchanges in flight finish, and then closes the connections of a removed upstream', async () => {
    let pending: ServerResponse | undefined
    first.handler = (_request, response) => (pending = response)
    pipeline = await startPipeline(proxyTo(first.url))
    const begun = open(pipeline.port, { path: '/app' })
    begun.end()
    const waiting = await until(() => pending, { what: 'the call' })
    waiting.write('begun, ')
    const streaming = await responseTo(begun)

    pipeline.reload(proxyTo(second.url))
    assert.equal((await send(pipeline.port, '/app')).text, 'second')
    assert.equal(await openConnections(first.server), 1)
    waiting.end('done')
    assert.equal((await answerOf(streaming)).text, 'begun, done')
    await until(async () => (await openConnections(first.server)) === 0, { what: 'the connections are closed' })
  })

  it('does not change the configuration of a request that is being retried', async () => {
    let calls = 0
    first.handler = (request, response) => {
      if (++calls > 1) return response.end('again')
      pipeline.reload(proxyTo(second.url))
      request.socket.destroy()
      return response
    }
    pipeline = await startPipeline(proxyTo(first.url, { upstream: { retries: { attempts: 2 } } }))
    assert.equal((await send(pipeline.port, '/app')).text, 'again')
  })

  it('keeps connections and target states of an unchanged upstream', async () => {
    const file = (path: string): GatewayFile => ({
      upstreams: {
        app: { targets: [first.url] },
        broken: { targets: [second.url], circuitBreaker: { failures: 1, openFor: '1h' } },
      },
      routes: [
        { name: 'app', match: { path }, upstream: 'app' },
        { name: 'broken', match: { path: '/broken' }, upstream: 'broken' },
      ],
    })
    second.handler = (request, response) => (request.socket.destroy(), response)
    const sockets = new Set<unknown>()
    first.server.on('connection', socket => sockets.add(socket))
    pipeline = await startPipeline(file('/app'))
    assert.equal((await send(pipeline.port, '/app')).status, 200)
    assert.equal((await send(pipeline.port, '/broken')).status, 502)
    pipeline.reload(file('/moved'))
    assert.equal((await send(pipeline.port, '/moved')).status, 200)
    assert.equal(sockets.size, 1)
    assert.equal((await send(pipeline.port, '/broken')).status, 503)
  })

  describe('that adds or removes one target', () => {
    const sockets = new Map<RunningUpstream, number>()
    const file = (targets: readonly RunningUpstream[], upstream: object = {}): GatewayFile =>
      proxyTo('', { upstream: { targets: targets.map(({ url }) => url), ...upstream } })
    /** The responses to this number of requests, sent one after the other. */
    const ask = async (requests: number): Promise<string[]> => {
      const texts = []
      for (let i = 0; i < requests; i++) texts.push((await send(pipeline.port, '/app')).text)
      return texts
    }
    let third: RunningUpstream

    beforeEach(async () => {
      third = await startUpstream((_request, response) => response.end('third'))
      for (const upstream of [first, second, third]) {
        sockets.set(upstream, 0)
        upstream.server.on('connection', () => sockets.set(upstream, sockets.get(upstream)! + 1))
      }
    })
    afterEach(async () => {
      await third.stop()
    })

    it('keeps the connections to the other targets, also when their upstream changes otherwise', async () => {
      pipeline = await startPipeline(file([first, second]))
      assert.deepEqual(await ask(2), ['first', 'second'])
      pipeline.reload(file([first, second, third], { balance: 'round-robin', timeouts: { response: '7s' } }))
      assert.deepEqual(await ask(3), ['first', 'second', 'third'])
      pipeline.reload(file([third, first]))
      assert.deepEqual(await ask(2), ['third', 'first'])
      await until(async () => (await openConnections(second.server)) === 0, { what: 'the one that is gone is closed' })
      assert.deepEqual([sockets.get(first), sockets.get(second), sockets.get(third)], [1, 1, 1])
    })

    it('keeps the state of the other targets', async () => {
      const circuitBreaker = { failures: 1, openFor: '1h' }
      first.handler = (_request, response) => response.writeHead(503).end()
      pipeline = await startPipeline(file([first, second], { circuitBreaker }))
      assert.equal((await send(pipeline.port, '/app')).status, 503)
      pipeline.reload(file([first, second, third], { circuitBreaker }))
      assert.deepEqual(await ask(4), ['second', 'third', 'second', 'third'])
      // Their state still changes afterwards, and each change is logged once.
      second.handler = first.handler
      assert.equal((await send(pipeline.port, '/app')).status, 503)
      assert.deepEqual(await ask(2), ['third', 'third'])
      const ejected = pipeline.logs.filter(({ msg }) => msg === 'target ejected after repeated failures')
      assert.deepEqual(
        ejected.map(({ target }) => target),
        [first.url, second.url],
      )
    })

    it('lets exchanges at a removed target finish', async () => {
      let pending: ServerResponse | undefined
      second.handler = (_request, response) => (pending = response)
      pipeline = await startPipeline(file([first, second]))
      await ask(1)
      const waiting = send(pipeline.port, '/app')
      const response = await until(() => pending, { what: 'the call' })
      pipeline.reload(file([first, third]))
      assert.deepEqual(await ask(2), ['first', 'third'])
      response.end('done')
      assert.equal((await waiting).text, 'done')
      await until(async () => (await openConnections(second.server)) === 0, { what: 'the connections are closed' })
    })

    describe('with health checks', () => {
      // Within the time of a test only the first check of an added target runs.
      const healthCheck = { path: '/healthz', interval: '1m', unhealthyAfter: 3, healthyAfter: 1 }
      const checked = { healthCheck, panicThreshold: 0 }

      for (const before of [1, 2]) {
        it(`sends no request to an added target that is down, with ${before} in use before`, async () => {
          const url = third.url
          await third.stop()
          const known = [first, second].slice(0, before)
          pipeline = await startPipeline(file(known, checked))
          pipeline.reload(file([...known, third], checked))
          const answers = await ask(10)
          assert.deepEqual(new Set(answers), new Set(['first', 'second'].slice(0, before)))
          const saysSo = (): boolean => pipeline.logs.some(({ target, healthy }) => target === url && healthy === false)
          await until(saysSo, { what: 'its first check' })
          assert.deepEqual(new Set(await ask(10)), new Set(answers))
        })
      }

      it('sends requests to an added target only after its first check has passed', async () => {
        let check: ServerResponse | undefined
        third.handler = ({ url }, response) => (url === '/healthz' ? (check = response) : response.end('third'))
        pipeline = await startPipeline(file([first], checked))
        pipeline.reload(file([first, third], checked))
        const asked = await until(() => check, { what: 'its first check, at once', timeoutMs: 5_000 })
        assert.deepEqual(await ask(4), ['first', 'first', 'first', 'first'])
        asked.end()
        await until(async () => (await ask(1))[0] === 'third', { what: 'it is asked' })
      })

      it('sends requests to all targets at once if the state of none is known', async () => {
        pipeline = await startPipeline(file([first], checked))
        pipeline.reload(file([second, third], checked))
        assert.deepEqual(await ask(2), ['second', 'third'])
      })

      it('sends requests to an added target if it is the only one, checked or not', async () => {
        third.handler = ({ url }, response) => (url === '/healthz' ? response : response.end('third'))
        pipeline = await startPipeline(file([first], checked))
        pipeline.reload(file([first, third], checked))
        pipeline.reload(file([third], checked))
        assert.deepEqual(await ask(2), ['third', 'third'])
        pipeline.reload(file([second, third], checked))
        pipeline.reload(file([first, second, third], checked))
        pipeline.reload(file([third, first], checked))
        assert.equal((await send(pipeline.port, '/app')).status, 200)
      })
    })
  })

  it('stops health checks of removed targets', async () => {
    const healthCheck = { path: '/healthz', interval: '50ms' }
    pipeline = await startPipeline(proxyTo(first.url, { upstream: { healthCheck } }))
    await until(() => first.requests.length > 2, { what: 'checks of the first' })
    pipeline.reload(proxyTo(second.url, { upstream: { healthCheck } }))
    await until(() => second.requests.length > 2, { what: 'checks of the second' })
    const { length } = first.requests
    await until(() => second.requests.length > 6, { what: 'more checks' })
    assert.ok(first.requests.length <= length + 1)
  })

  it('keeps the counters of an unchanged limit, and resets those of a changed one', async () => {
    const file = (limit: number, strip?: string): GatewayFile =>
      proxyTo(first.url, {
        route: { rateLimit: { limit, window: '1h' }, ...(strip && { rewrite: { stripPrefix: strip } }) },
      })
    pipeline = await startPipeline(file(2))
    const status = async (): Promise<number> => (await send(pipeline.port, '/app')).status
    assert.deepEqual([await status(), await status(), await status()], [200, 200, 429])
    pipeline.reload(file(2, '/app'))
    assert.equal(await status(), 429)
    pipeline.reload(file(1))
    assert.deepEqual([await status(), await status()], [200, 429])
  })

  it('applies the new size limits when it tells a long URL from a large header section', async () => {
    pipeline = await startPipeline(proxyTo(first.url))
    const request = `GET /app?${'x'.repeat(5_000)} HTTP/1.1\r\nHost: a\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`
    assert.match(await rawExchange(pipeline.port, request), /^HTTP\/1\.1 431 /)
    pipeline.reload(proxyTo(first.url, { entrypoint: { maxUrlLength: '100B' } }))
    assert.match(await rawExchange(pipeline.port, request), /^HTTP\/1\.1 414 /)
  })

  describe('while a WebSocket is open', () => {
    let talking: WebSocketUpstream

    beforeEach(async () => {
      talking = await startWebSocketUpstream()
    })
    afterEach(async () => {
      await talking.stop()
    })

    it('keeps the WebSocket open, whatever else changes', async () => {
      pipeline = await startPipeline(proxyTo(talking.url))
      const socket = await openWebSocket(`${pipeline.url}/app`)
      const limited = { match: { path: '/moved' }, rateLimit: { limit: 1, window: '1h' }, websocket: false }
      pipeline.reload(proxyTo(talking.url, { route: limited }))
      assert.equal((await refusedWebSocket(`${pipeline.url}/moved`)).status, 403)
      socket.send('hello')
      assert.equal(await messageOn(socket), 'hello')
      socket.close(1000)
      assert.equal(await closeOf(socket), 1000)
      assert.equal((await pipeline.ended(2))[1]?.outcome, 'ok')
    })
  })

  describe('with the keys of an issuer', () => {
    let issuer: RunningIssuer
    let key: IssuerKey

    beforeEach(async () => {
      key = await newIssuerKey('one')
      issuer = await startIssuer([key.publicJwk])
    })
    afterEach(async () => {
      await issuer.stop()
    })

    const file = (more: object = {}): GatewayFile =>
      proxyTo(first.url, {
        tokens: { sso: { issuer: ISSUER, audience: AUDIENCE, jwks: issuer.url } },
        route: { auth: { jwt: { tokens: 'sso' } }, ...more },
      })
    const status = async (): Promise<number> =>
      (await send(pipeline.port, { path: '/app', headers: { authorization: `Bearer ${await sign(key)}` } })).status

    it('keeps the keys without fetching them again', async () => {
      pipeline = await startPipeline(file())
      assert.equal(await status(), 200)
      for (const timeout of ['1s', '2s', '3s']) {
        pipeline.reload(file({ timeouts: { response: timeout } }))
        assert.equal(await status(), 200)
      }
      assert.equal(issuer.asked, 1)
      // The issuer is down, so a fetch would fail.
      await issuer.stop()
      pipeline.reload(file({ timeouts: { response: '4s' } }))
      assert.equal(await status(), 200)
    })

    it('stops fetching the keys of an issuer that no route uses any more', async () => {
      // The issuer never answers, so the gateway retries every second.
      issuer.handler = request => request.socket.destroy()
      pipeline = await startPipeline(file())
      await until(() => issuer.asked === 2, { what: 'the keys are asked for again' })
      pipeline.reload(proxyTo(first.url))
      assert.equal((await send(pipeline.port, '/app')).status, 200)
      const { asked } = issuer
      await new Promise(resolve => setTimeout(resolve, 1_500))
      assert.equal(issuer.asked, asked)
    })

    it('aborts a running fetch of keys that no route uses any more', async () => {
      let asking: ServerResponse | undefined
      issuer.handler = (_request, response) => (asking = response)
      pipeline = await startPipeline(file())
      const { socket } = await until(() => asking, { what: 'the keys are asked for' })
      pipeline.reload(proxyTo(first.url))
      await until(() => socket?.destroyed, { what: 'nobody waits for them', timeoutMs: 2_000 })
    })
  })
})

describe('a hundred configuration reloads under load', () => {
  it('fail no request, whichever configuration it started with', async () => {
    const targets = await Promise.all(
      Array.from({ length: 3 }, () =>
        // Some are answered at once and others are in flight when the next file comes.
        startUpstream((_request, response) => void setTimeout(() => response.end('ok'), Math.random() * 20)),
      ),
    )
    const [a = '', b = '', c = ''] = targets.map(({ url }) => url)
    const limited = { rateLimit: { limit: 1_000_000, window: '1h' } }
    const files = [
      proxyTo('', { upstream: { targets: [a, b] }, route: limited }),
      proxyTo('', { upstream: { targets: [b, c], retries: { attempts: 2 } }, route: limited }),
      proxyTo(c, { route: { timeouts: { response: '5s' } }, entrypoint: { trustedProxies: ['10.0.0.0/8'] } }),
    ]
    const pipeline = await startPipeline(files[0]!)
    const load = startLoad(pipeline.port, 8)
    for (let reload = 1; reload <= 100; reload++) {
      const { length } = load.answers
      await until(() => load.answers.length > length, { what: 'an answer by this file', intervalMs: 5 })
      pipeline.reload(files[reload % files.length]!)
    }
    await load.stop()
    const isWell = ({ status, text }: Answer): boolean => status === 200 && text === 'ok'
    assert.deepEqual(
      load.answers.filter(answer => !isWell(answer)),
      [],
    )
    assert.deepEqual(
      new Set((await pipeline.ended(load.answers.length)).map(({ outcome }) => outcome)),
      new Set(['ok']),
    )
    // The active configuration has one target.
    for (const { server } of targets.slice(0, 2)) {
      await until(async () => (await openConnections(server)) === 0, {
        what: 'connections of targets that are gone are closed',
      })
    }
    await pipeline.stop()
    await Promise.all(targets.map(target => target.stop()))
  })
})

describe('a target that is closed', () => {
  it('ends its running calls as aborted by the gateway, not as a defect', async () => {
    const silent = await startUpstream(() => {})
    const [upstream] = configOf(proxyTo(silent.url)).upstreams
    const [settings] = settingsOfTargets(upstream!)
    const target = new Target(settings!, false)
    const call = (target.pool as Pool).request({ path: '/', method: 'GET' })
    await until(() => silent.requests.length === 1, { what: 'the call' })
    const closed = target.close()
    await assert.rejects(call, error => toGatewayError(error).reason === 'draining')
    await closed
    await silent.stop()
  })
})
