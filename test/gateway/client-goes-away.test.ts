import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import { openRaw, type RawConnection } from '../support/raw-http'
import { send } from '../support/send'
import { openConnections, proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const GET = 'GET /app HTTP/1.1\r\nHost: a\r\n\r\n'
const CLOSED = { route: '/app', outcome: 'client_closed', reason: 'client_closed' }

describe('a client that goes away', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline
  let client: RawConnection
  /** Calls that ended at the upstream before it had answered them. */
  let aborted = 0

  const watch =
    (handler: RequestListener): RequestListener =>
    (request, response) => {
      response.on('close', () => {
        if (!response.writableFinished) aborted++
      })
      handler(request, response)
    }

  async function start(handler: RequestListener, upstreamOptions: object = {}): Promise<void> {
    aborted = 0
    upstream = await startUpstream(watch(handler))
    pipeline = await startPipeline(proxyTo(upstream.url, { upstream: upstreamOptions }))
    client = await openRaw(pipeline.port)
  }
  afterEach(async () => {
    client.destroy()
    await pipeline.stop()
    await upstream.stop()
  })

  async function expectCancelled(): Promise<void> {
    await until(() => aborted === 1, { what: 'the upstream has lost the call' })
    assert.deepEqual(await pipeline.ended(1), [CLOSED])
    const line = pipeline.logs.at(-1)
    assert.partialDeepStrictEqual(line, { event: 'request', status: 499, outcome: 'client_closed', level: 'info' })
    const idle = async (): Promise<boolean> => (await openConnections(upstream.server)) === 0
    await until(idle, { what: 'no connection of a cancelled call is left' })
  }

  it('before the upstream has answered cancels the upstream call', async () => {
    await start(() => undefined)
    client.send(GET)
    await until(() => upstream.requests.length === 1, { what: 'the call' })
    client.destroy()
    await expectCancelled()
  })

  it('in the middle of the response cancels the upstream call', async () => {
    await start((_request, response) => response.write('begun'))
    client.send(GET)
    await client.waitFor('begun')
    client.destroy()
    await expectCancelled()
  })

  it('in the middle of a response of known length cancels the upstream call', async () => {
    await start((_request, response) => response.writeHead(200, { 'Content-Length': '99' }).write('begun'))
    client.send(GET)
    await client.waitFor('begun')
    client.destroy()
    await expectCancelled()
  })

  it('while it is not reading the response cancels the upstream call', async () => {
    await start((_request, response) => {
      const chunk = Buffer.alloc(64 * 1024)
      const write = (): void => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once('drain', write)
      }
      write()
    })
    client.socket.pause()
    client.send(GET)
    await until(() => upstream.requests.length === 1, { what: 'the call' })
    client.destroy()
    await expectCancelled()
  })

  for (const framing of ['Content-Length: 99\r\n\r\nhe', 'Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n']) {
    it(`in the middle of its upload cancels the upstream call: ${framing.split('\r\n')[0]}`, async () => {
      await start(request => request.resume())
      client.send(`POST /app HTTP/1.1\r\nHost: a\r\n${framing}`)
      await until(() => upstream.requests.length === 1, { what: 'the call' })
      client.destroy()
      await expectCancelled()
    })
  }

  it('by closing only its sending half counts as gone: the gateway does not wait for it', async () => {
    await start(() => undefined)
    client.send(GET)
    await until(() => upstream.requests.length === 1, { what: 'the call' })
    client.socket.end()
    await client.closed()
    await expectCancelled()
  })

  it('while more of its requests are pipelined cancels the running call, and it is counted', async () => {
    await start(() => undefined)
    client.send(GET + GET + GET)
    await until(() => upstream.requests.length === 1, { what: 'the call' })
    client.destroy()
    await expectCancelled()
  })

  const LEAVES: Readonly<Record<string, (socket: Socket) => void>> = {
    'closing its connection': socket => socket.destroy(),
    'resetting its connection': socket => socket.resetAndDestroy(),
    'closing only its sending half': socket => socket.end(),
  }
  for (const [how, leave] of Object.entries(LEAVES)) {
    it(`by ${how} is noticed behind hundreds of pipelined requests that are held back`, async () => {
      await start(() => undefined)
      client.send(GET.repeat(400))
      await until(() => upstream.requests.length === 1, { what: 'the call' })
      // More than one read, so that the gateway cannot have parsed them all.
      client.send(GET.replace('/app', `/app?${'q'.repeat(1_000)}`).repeat(60))
      leave(client.socket)
      await expectCancelled()
      await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
    })
  }

  it('by resetting its connection is noticed during an upload that its upstream does not read', async () => {
    await start(request => request.pause())
    const accepted = once(pipeline.server, 'connection') as Promise<[Socket]>
    client.destroy()
    client = await openRaw(pipeline.port)
    const [connection] = await accepted
    client.send('POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n')
    await until(() => upstream.requests.length === 1, { what: 'the call' })
    client.send(Buffer.alloc(50_000_000))
    let last = 0
    const isStill = (): boolean => {
      const before = last
      last = connection.bytesRead
      return last === before && last > 1_000_000
    }
    await until(isStill, { what: 'the gateway stops reading' })
    client.socket.resetAndDestroy()
    // The upstream cannot notice it, because it does not read.
    assert.deepEqual(await pipeline.ended(1), [CLOSED])
    upstream.server.closeAllConnections()
  })

  it('while its request waits for a connection causes no upstream call', async () => {
    await start((_request, response) => response.write('begun'), { maxConnections: 1 })
    const first = await openRaw(pipeline.port)
    first.send(GET)
    await first.waitFor('begun')
    client.send(GET)
    await until(async () => (await pipeline.connections()) === 2, { what: 'both are here' })
    client.destroy()
    assert.deepEqual((await pipeline.ended(1)).at(-1), CLOSED)
    first.destroy()
    await pipeline.ended(2)
    upstream.handler = (_request, response) => response.end('still alive')
    assert.equal((await send(pipeline.port, '/app')).text, 'still alive')
    assert.equal(upstream.requests.length, 2, 'the one that was waiting is not among them')
  })

  it('leaves the remaining connections usable for the next client', async () => {
    await start(() => undefined, { maxConnections: 2 })
    for (let i = 0; i < 6; i++) {
      const impatient = await openRaw(pipeline.port)
      impatient.send(GET)
      const calls = i + 1
      await until(() => upstream.requests.length === calls, { what: 'the call' })
      impatient.destroy()
    }
    await pipeline.ended(6)
    upstream.handler = (_request, response) => response.end('served')
    assert.equal((await send(pipeline.port, '/app')).text, 'served')
  })

  it('after the whole response was sent does not change the outcome ok', async () => {
    await start((_request, response) => response.end('whole'))
    client.send(GET)
    await client.waitFor('whole')
    client.destroy()
    assert.deepEqual((await pipeline.ended(1)).at(-1)?.outcome, 'ok')
  })
})
