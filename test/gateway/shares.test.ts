import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { IncomingMessage } from 'node:http'
import { createAuthority } from '../support/certificates'
import { openRaw, type RawConnection } from '../support/raw-http'
import { answerOf, open, responseTo, send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { upstreamsPage } from '../../src/operations/upstreams-page'
import { until } from '../support/until'

const MIB = 1_048_576
const OTHER = '127.0.0.2'

describe('fair shares between clients', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline
  let clients: { destroy(): unknown }[] = []

  before(async () => {
    upstream = await startUpstream()
  })
  afterEach(async () => {
    for (const client of clients) client.destroy()
    clients = []
    await pipeline.stop()
    upstream.requests.length = 0
  })
  after(async () => {
    await upstream.stop()
  })

  async function start(options: { entrypoint?: object; upstream?: object } = {}): Promise<void> {
    pipeline = await startPipeline(proxyTo(upstream.url, options))
  }

  /** Sends concurrent requests from one client; their results are not checked here. */
  function ask(count: number, path = '/app', localAddress = '127.0.0.1'): Promise<IncomingMessage>[] {
    return Array.from({ length: count }, async () => {
      const request = open(pipeline.port, { path, localAddress })
      clients.push(request)
      request.on('error', () => undefined) // the test closes them at its end
      request.end()
      return responseTo(request)
    })
  }
  const ignoreAll = (responses: readonly Promise<unknown>[]): void => {
    for (const response of responses) response.catch(() => undefined)
  }
  const connections = (): { free: number; open: number; waitingCalls: number } | undefined =>
    pipeline.upstreams()[0]?.targets[0]?.connections

  describe('of the connections to a target', () => {
    it('give a single client nine tenths, and another client is served at once', async () => {
      upstream.handler = (request, response) => void (request.url === '/app/fast' && response.end('ok'))
      await start()
      ignoreAll(ask(140))
      await until(() => connections()?.waitingCalls === 140 - 116, { what: 'the others wait' })
      assert.equal(upstream.requests.length, 116)
      assert.equal((await send(pipeline.port, { path: '/app/fast', localAddress: OTHER })).text, 'ok')
    })

    it('serve several waiting clients in turn', async () => {
      const held: (() => void)[] = []
      upstream.handler = (request, response) => void held.push(() => response.end(request.headers['x-client']))
      await start({ upstream: { maxConnections: 1 } })
      const order: string[] = []
      const enqueue = async (name: string, localAddress: string): Promise<void> => {
        const waitingBefore = connections()?.waitingCalls ?? 0
        const request = open(pipeline.port, { path: '/app', localAddress, headers: { 'x-client': name } })
        request.end()
        clients.push(request)
        void responseTo(request)
          .then(answerOf)
          .then(({ text }) => order.push(text))
        const isThere = (): boolean =>
          upstream.requests.length === 1 && connections()?.waitingCalls === waitingBefore + 1
        await until(() => (name === 'a1' ? upstream.requests.length === 1 : isThere()), { what: `${name} is there` })
      }
      for (const name of ['a1', 'a2', 'a3', 'a4']) await enqueue(name, '127.0.0.1')
      for (const name of ['b1', 'b2']) await enqueue(name, OTHER)
      const uses = pipeline.upstreams()[0]?.targets[0]?.clients ?? []
      assert.deepEqual(
        uses.map(use => [use.client, use.connections, use.waitingCalls, use.servedLast]),
        [
          ['127.0.0.1', 1, 3, false],
          [OTHER, 0, 2, false],
        ],
      )
      const page = String(upstreamsPage(pipeline.upstreams()))
      assert.match(page, /Clients of busy targets[^]*127\.0\.0\.1[^]*data-label="waiting">3</)
      for (let i = 1; i <= 6; i++) {
        await until(() => held.length === i, { what: `call ${i}` })
        held[i - 1]?.()
        await until(() => order.length === i, { what: `answer ${i}` })
      }
      assert.deepEqual(order, ['a1', 'a2', 'b1', 'a3', 'b2', 'a4'])
    })

    it('leave room in the queue for one client, however many calls of another one wait', async () => {
      const held: (() => void)[] = []
      upstream.handler = (_request, response) => void held.push(() => response.end('ok'))
      await start({ upstream: { maxConnections: 1 } })
      ignoreAll(ask(101))
      await until(() => connections()?.waitingCalls === 100, { what: 'a hundred calls wait' })
      assert.equal((await send(pipeline.port, '/app')).status, 503)
      const [other] = ask(1, '/app', OTHER)
      await until(() => connections()?.waitingCalls === 101, { what: 'the other client waits, too' })
      await until(() => held.length === 1, { what: 'the first call' })
      held[0]?.()
      await until(() => held.length === 2, { what: 'the second call' })
      held[1]?.()
      await until(() => held.length === 3, { what: 'the third call' })
      held[2]?.()
      assert.equal((await other)?.statusCode, 200)
    })

    it('end an event stream of a client that holds too many when another client waits', async () => {
      upstream.handler = (request, response) => {
        if (request.url === '/app/fast') return void response.end('ok')
        response.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
      }
      await start({ upstream: { maxConnections: 4 } })
      const streams = await Promise.all(ask(4, '/app/events'))
      for (const stream of streams) stream.on('error', () => undefined).resume()
      assert.equal((await send(pipeline.port, { path: '/app/fast', localAddress: OTHER })).text, 'ok')
      const ended = await pipeline.ended(2)
      assert.deepEqual(ended[0], { route: '/app', outcome: 'client_closed', reason: 'slow_client_evicted' })
      assert.equal(streams.filter(({ destroyed }) => destroyed).length, 1)
    })
  })

  describe('of the response buffer', () => {
    async function askAndPause(path = '/app'): Promise<RawConnection> {
      const client = await openRaw(pipeline.port)
      clients.push(client)
      client.socket.pause()
      client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
      return client
    }

    it('free the upstream connection while the client reads slowly, and the whole response arrives', async () => {
      // More than the operating system buffers for one connection.
      const body = Buffer.alloc(24 * MIB, 'abcdefghijklmnopqrstuvwxy')
      upstream.handler = (request, response) => response.end(request.url === '/app/small' ? 'ok' : body)
      await start({
        entrypoint: { responseBuffer: { perResponse: '32MiB' } },
        upstream: { maxConnections: 1 },
      })
      const client = await askAndPause()
      assert.equal((await send(pipeline.port, '/app/small')).text, 'ok')
      assert.equal(pipeline.counted.length, 1, 'the other one has not ended')
      client.socket.resume()
      await until(() => client.socket.bytesRead > body.length, { what: 'all of it' })
      await pipeline.ended(2)
      const received = client.received
      assert.ok(Buffer.from(received.slice(received.indexOf('\r\n\r\n') + 4), 'latin1').equals(body))
      assert.equal(pipeline.counted[1]?.outcome, 'ok')
    })

    it('do not exist where the file disables it: the upstream waits for the client', async () => {
      upstream.handler = (_request, response) => response.end(Buffer.alloc(48 * MIB))
      await start({ entrypoint: { responseBuffer: { perResponse: '0B' }, stallTimeout: '500ms' } })
      await askAndPause()
      assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'client_closed', reason: 'client_stalled' }])
    })

    it('are freed when the client leaves after the upstream has sent everything', async () => {
      upstream.handler = (_request, response) => response.end(Buffer.alloc(24 * MIB))
      await start({ entrypoint: { responseBuffer: { perResponse: '32MiB' }, stallTimeout: '500ms' } })
      const client = await askAndPause()
      assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'client_closed', reason: 'client_stalled' }])
      await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
      client.destroy()
    })

    for (const { minDownloadRate, outcome } of [
      { minDownloadRate: '1GiB', outcome: { outcome: 'client_closed', reason: 'client_stalled' } },
      { minDownloadRate: '1KiB', outcome: { outcome: 'ok', reason: undefined } },
    ]) {
      it(`${outcome.outcome === 'ok' ? 'last while' : 'end when'} it is read slowly but steadily, with ${minDownloadRate} a second`, async function () {
        this.timeout(30_000)
        upstream.handler = (_request, response) => response.end(Buffer.alloc(64 * MIB))
        await start({ entrypoint: { minDownloadRate, stallTimeout: '1s' } })
        const client = await askAndPause()
        client.socket.on('data', () => {
          client.socket.pause()
          setTimeout(() => client.socket.resume(), 2)
        })
        client.socket.resume()
        const ended = await until(() => pipeline.counted[0], { what: 'its end', timeoutMs: 25_000 })
        assert.deepEqual(ended, { route: '/app', ...outcome })
      })
    }

    it('remain available to an event stream that is silent for a while', async () => {
      upstream.handler = (_request, response) => {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: first\n\n')
        setTimeout(() => response.end('data: second\n\n'), 2_500)
      }
      await start({ entrypoint: { minDownloadRate: '1GiB', stallTimeout: '500ms' } })
      assert.match((await send(pipeline.port, '/app')).text, /first[^]*second/)
    })
  })

  describe('of client connections', () => {
    it('give one address nine tenths', async () => {
      upstream.handler = (_request, response) => response.end('ok')
      await start({ entrypoint: { maxConnections: 20 } })
      const own = await Promise.all(Array.from({ length: 18 }, () => openRaw(pipeline.port)))
      clients.push(...own)
      await until(async () => (await pipeline.connections()) === 18, { what: 'all of them are here' })
      assert.equal(await (await openRaw(pipeline.port)).closed(), '')
      assert.equal((await send(pipeline.port, { path: '/app', localAddress: OTHER })).text, 'ok')
      own[0]?.destroy()
      await until(async () => (await pipeline.connections()) === 17, { what: 'one has gone' })
      assert.equal((await send(pipeline.port, '/app')).text, 'ok')
    })

    it('give a trusted proxy all of them', async () => {
      upstream.handler = (_request, response) => response.end('ok')
      await start({ entrypoint: { maxConnectionsPerClient: 1, trustedProxies: ['127.0.0.1'] } })
      clients.push(await openRaw(pipeline.port))
      assert.equal((await send(pipeline.port, '/app')).text, 'ok')
    })

    it('are also bounded with TLS', async () => {
      const { cert, key } = serverFiles()
      await start({ entrypoint: { maxConnectionsPerClient: 1, tls: { cert, key } } })
      const first = connect(pipeline.port, '127.0.0.1')
      clients.push(first)
      await once(first, 'connect')
      await until(async () => (await pipeline.connections()) === 1, { what: 'it is here' })
      assert.equal(await (await openRaw(pipeline.port)).closed(), '')
    })
  })
})

function serverFiles(): { cert: string; key: string } {
  const { certFile: cert, keyFile: key } = createAuthority('Test Authority').issue('localhost')
  return { cert, key }
}
