import assert from 'node:assert/strict'
import { once } from 'node:events'
import { constants, type ClientHttp2Session } from 'node:http2'
import { hashApiKey, newApiKey } from '../../../src/cli/hash-key'
import { answerOn, openHttp2, sendHttp2 } from '../../support/http2-client'
import { clientFrame, connectWebSocket, nextMessage } from '../../support/http2-websockets'
import { startRawUpstream } from '../../support/start-raw-upstream'
import { proxyTo, startPipeline, type Pipeline } from '../../support/start-pipeline'
import { until } from '../../support/until'
import { startWebSocketUpstream, type WebSocketUpstream } from '../../support/web-sockets'

describe('WebSockets over HTTP/2', () => {
  let upstream: WebSocketUpstream
  let pipeline: Pipeline
  let session: ClientHttp2Session

  before(async () => {
    upstream = await startWebSocketUpstream()
  })
  afterEach(async () => {
    session.destroy()
    await pipeline.stop()
    upstream.handshakes.length = 0
  })
  after(async () => {
    await upstream.stop()
  })

  async function start(file: object = {}, http2: object = {}, target = upstream.url): Promise<void> {
    pipeline = await startPipeline(proxyTo(target, { ...file, entrypoint: { http2: { cleartext: true, ...http2 } } }))
    session = await openHttp2(pipeline.url)
  }

  const lines = (): unknown[] =>
    pipeline.logs.flatMap(({ event, ...line }) =>
      event === 'request'
        ? [[line['status'], line['outcome'], line['ended_by'], line['bytes_in'], line['bytes_out']]]
        : [],
    )

  it('reach an HTTP/1.1 upstream as its own handshake', async () => {
    await start()
    const fields = { 'sec-websocket-protocol': 'chat', origin: 'https://shop.example', 'sec-websocket-key': 'forged' }
    const { stream, status, headers } = await connectWebSocket(session, '/app/x?y=1', fields)
    assert.deepEqual([status, headers['sec-websocket-protocol']], [200, 'chat'])
    for (const name of ['sec-websocket-accept', 'connection', 'upgrade']) assert.equal(headers[name], undefined)
    const seen = upstream.handshakes[0]!
    assert.deepEqual([seen.method, seen.url, seen.headers.upgrade], ['GET', '/app/x?y=1', 'websocket'])
    assert.deepEqual([seen.headers.origin, seen.headers['x-forwarded-host']], ['https://shop.example', 'localhost'])
    assert.match(String(seen.headers['sec-websocket-key']), /^[\w+/]{22}==$/)
    stream.write(clientFrame('hello'))
    assert.equal(await nextMessage(stream), 'hello')
    // Close with status 1000, which the upstream sends back before it closes.
    stream.write(clientFrame('\x03\xe8', 8))
    await once(stream, 'end')
    stream.end()
    await pipeline.ended(1)
    assert.equal((lines()[0] as unknown[])[0], 101)
    assert.equal((lines()[0] as unknown[])[1], 'ok')
    const [, , , bytesIn, bytesOut] = lines()[0] as number[]
    assert.ok(bytesIn! > 11 && bytesOut! > 7, `${bytesIn} in, ${bytesOut} out`)
  })

  it('run a hundred at once beside requests, with the settings that are the default', async () => {
    await start()
    const first = await connectWebSocket(session, '/app')
    const others = await Promise.all(Array.from({ length: 99 }, () => connectWebSocket(session, '/app')))
    const all = [first, ...others]
    const echoed = await Promise.all(
      all.map(async ({ stream }, i) => {
        stream.write(clientFrame(`message ${i}`))
        return nextMessage(stream)
      }),
    )
    assert.deepEqual(
      echoed,
      all.map((_, i) => `message ${i}`),
    )
    const answers = await Promise.all(Array.from({ length: 20 }, () => sendHttp2(session, { ':path': '/app' })))
    assert.ok(answers.every(({ status }) => status === 200))
    assert.equal(await pipeline.connections(), 1)
    // A client that leaves resets them all; that is no attack.
    for (const { stream } of all) stream.close(constants.NGHTTP2_CANCEL)
    await pipeline.ended(120)
    assert.equal((await sendHttp2(session, { ':path': '/app' })).status, 200)
    await until(() => upstream.sockets.every(({ readyState }) => readyState === 3), { what: 'all are closed' })
  })

  it('are ended by whichever side leaves, and by the idle timeout', async () => {
    await start({ route: { websocket: { idleTimeout: '1s' } } })
    const byClient = await connectWebSocket(session, '/app')
    byClient.stream.close(constants.NGHTTP2_CANCEL)
    await pipeline.ended(1)
    const byUpstream = await connectWebSocket(session, '/app')
    upstream.sockets.at(-1)!.terminate()
    await pipeline.ended(2)
    byUpstream.stream.resume()
    const idle = await connectWebSocket(session, '/app')
    await pipeline.ended(3)
    idle.stream.resume()
    assert.deepEqual(
      lines().map(line => (line as unknown[])[2]),
      ['client', 'upstream', 'idle_timeout'],
    )
  })

  it('keep their order and completeness with messages larger than the windows', async () => {
    await start()
    const { stream } = await connectWebSocket(session, '/app')
    const payload = Buffer.alloc(3_000_000, 'x')
    const head = Buffer.alloc(14)
    head.set([0x82, 0x80 | 127])
    head.writeBigUInt64BE(BigInt(payload.length), 2)
    // A mask of zeros changes nothing.
    stream.write(Buffer.concat([head, payload]))
    let received = 0
    stream.on('data', (chunk: Buffer) => (received += chunk.length))
    await until(() => received === payload.length + 10, { what: 'the whole message' })
  })

  const KEY = newApiKey()
  it('pass the same policies as other requests', async () => {
    await start({
      consumers: { acme: { apiKeys: [hashApiKey(KEY)] } },
      route: { auth: { apiKey: {} }, rateLimit: { limit: 1, window: '1h', key: 'consumer' } },
    })
    const statusOf = async (fields: Record<string, string> = {}): Promise<number> => {
      const { stream, status } = await connectWebSocket(session, '/app', fields)
      if (status !== 200) await once(stream.resume(), 'close')
      return status
    }
    assert.deepEqual([await statusOf(), await statusOf({ 'x-api-key': newApiKey() })], [401, 401])
    assert.equal(upstream.handshakes.length, 0)
    assert.deepEqual([await statusOf({ 'x-api-key': KEY }), await statusOf({ 'x-api-key': KEY })], [200, 429])
    assert.equal(upstream.handshakes[0]?.headers['x-consumer-name'], 'acme')
    // Refused streams end although the client keeps its half open.
    await pipeline.ended(3)
  })

  it('are bounded for each client, which may open many on one connection', async () => {
    pipeline = await startPipeline(
      proxyTo(upstream.url, { entrypoint: { http2: { cleartext: true }, maxConnectionsPerClient: 3 } }),
    )
    session = await openHttp2(pipeline.url)
    const statuses: number[] = []
    for (let i = 0; i < 4; i++) statuses.push((await connectWebSocket(session, '/app')).status)
    assert.deepEqual(statuses, [200, 200, 200, 429])
  })

  it('are refused on routes without WebSockets', async () => {
    await start({ route: { websocket: false } })
    const { stream, status } = await connectWebSocket(session, '/app')
    assert.equal(status, 403)
    await once(stream.resume(), 'close')
    assert.equal((await connectWebSocket(session, '/elsewhere')).status, 404)
  })

  for (const [what, fields, status] of [
    ['another protocol', { ':protocol': 'connect-udp' }, 501],
    ['another version', { 'sec-websocket-version': '8' }, 400],
    ['a path that servers read differently', { ':path': '/app/../x' }, 400],
    ['a host that differs from the authority', { host: 'elsewhere' }, 400],
    ['a length', { 'content-length': '5' }, 400],
  ] as const) {
    it(`are refused with ${what}`, async () => {
      await start()
      assert.equal((await connectWebSocket(session, '/app', fields)).status, status)
      assert.equal(upstream.handshakes.length, 0)
    })
  }

  it('are refused if the upstream answers the key of somebody else', async () => {
    const raw = await startRawUpstream(socket => {
      socket.write('HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n')
    })
    await start({}, {}, raw.url)
    const { status } = await connectWebSocket(session, '/app')
    assert.equal(status, 502)
    assert.deepEqual((await pipeline.ended(1))[0], { route: '/app', outcome: 'fault', reason: 'bad_response' })
    await raw.stop()
  })

  it('get the answer of an upstream that does not switch', async () => {
    const raw = await startRawUpstream(socket => {
      socket.write('HTTP/1.1 418 Teapot\r\nContent-Length: 3\r\n\r\nno\n')
    })
    await start({}, {}, raw.url)
    const { stream, status } = await connectWebSocket(session, '/app')
    assert.equal(status, 418)
    assert.equal(await nextText(stream), 'no\n')
    await raw.stop()
  })

  async function nextText(stream: Parameters<typeof answerOn>[0]): Promise<string> {
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString()
  }
})
