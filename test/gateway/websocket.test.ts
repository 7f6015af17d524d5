import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type WebSocket from 'ws'
import { openRaw, rawExchange } from '../support/raw-http'
import { problemOf, send } from '../support/send'
import type { LogEntry } from '../support/start-process'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startRawUpstream } from '../support/start-raw-upstream'
import { startUpstream } from '../support/start-upstream'
import { until } from '../support/until'
import {
  closeOf,
  echo,
  messageOn,
  openWebSocket,
  refusedWebSocket,
  startWebSocketUpstream,
  type WebSocketUpstream,
} from '../support/web-sockets'

const MIB = 1024 * 1024
const HANDSHAKE = [
  'Host: a',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
]
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

function handshake(changes: Readonly<Record<string, string | undefined>> = {}, line = 'GET /app HTTP/1.1'): string {
  const fields = HANDSHAKE.map(field => {
    const [name = ''] = field.split(':')
    return name in changes ? changes[name] : field
  })
  const more = Object.entries(changes).filter(([name]) => !HANDSHAKE.some(field => field.startsWith(`${name}:`)))
  return `${[line, ...fields, ...more.map(([, field]) => field)].filter(part => part !== undefined).join('\r\n')}\r\n\r\n`
}

/** The TCP connection below a `ws` socket. */
function connectionOf(socket: WebSocket): Duplex {
  return (socket as unknown as { _socket: Duplex })._socket
}

describe('a WebSocket', () => {
  let upstream: WebSocketUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startWebSocketUpstream()
  })
  beforeEach(async () => {
    pipeline = await startPipeline(proxyTo(upstream.url))
  })
  afterEach(async () => {
    await pipeline.stop()
  })
  after(async () => {
    await upstream.stop()
  })

  /** The log line of the only request so far. */
  async function lineOf(): Promise<LogEntry> {
    await pipeline.ended(1)
    return pipeline.logs.find(entry => entry['event'] === 'request')!
  }

  it('carries messages in both directions, and is logged once when it ends', async () => {
    const socket = await openWebSocket(`${pipeline.url}/app/chat?room=1`)
    socket.send('hello')
    assert.equal(await messageOn(socket), 'hello')
    assert.equal(pipeline.counted.length, 0)
    socket.close(1000)
    assert.equal(await closeOf(socket), 1000)
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'ok', reason: undefined }])
    const { status, stream, bytes_in: bytesIn, bytes_out: bytesOut, path } = await lineOf()
    assert.deepEqual({ status, stream, path }, { status: 101, stream: 'websocket', path: '/app/chat' })
    // Frames: 5 bytes and 2 of a close code, a header of 2 bytes each, and a mask of 4 bytes from the client.
    assert.deepEqual({ bytesIn, bytesOut }, { bytesIn: 19, bytesOut: 11 })
    assert.equal(upstream.handshakes.at(-1)?.url, '/app/chat?room=1')
  })

  it('carries bytes that either side sends together with its part of the handshake', async () => {
    const raw = await startRawUpstream(connection => connection.write(`${SWITCHED}from the upstream`))
    const other = await startPipeline(proxyTo(raw.url))
    const client = await openRaw(other.port)
    client.send(`${handshake()}from the client`)
    assert.match(await client.waitFor('from the upstream'), /^HTTP\/1\.1 101 /)
    await until(() => raw.received[0]?.endsWith('\r\n\r\nfrom the client'), { what: 'the bytes of the client' })
    client.send(', and more')
    await until(() => raw.received[0]?.endsWith('from the client, and more'), { what: 'more of them' })
    client.destroy()
    await other.stop()
    await raw.stop()
  })

  it('carries megabytes that the client sends before the handshake is answered, without loss', async () => {
    let answer = (): void => undefined
    const raw = await startRawUpstream(connection => (answer = () => void connection.write(SWITCHED)))
    const other = await startPipeline(proxyTo(raw.url))
    const client = await openRaw(other.port)
    client.send(handshake())
    await until(() => raw.open === 1, { what: 'the handshake is under way' })
    const numbers = Array.from({ length: 300_000 }, (_, number) => number).join()
    client.send(numbers)
    await until(() => client.socket.writableLength === 0 || client.socket.bytesWritten > 200_000, {
      what: 'some of it',
    })
    answer()
    await until(() => raw.received[0]?.endsWith(',299999'), { what: 'all of it' })
    assert.ok(raw.received[0]?.endsWith(`\r\n\r\n${numbers}`))
    client.destroy()
    await other.ended(1)
    const line = other.logs.find(({ event }) => event === 'request')
    assert.equal(line?.['bytes_in'], numbers.length)
    await other.stop()
    await raw.stop()
  })

  it('gets the subprotocol that the upstream chose', async () => {
    const socket = await openWebSocket(`${pipeline.url}/app`, { protocols: ['chat.v1', 'chat.v2'] })
    assert.equal(socket.protocol, 'chat.v2')
    socket.terminate()
  })

  it('sends request and forwarding fields upstream, and Connection cannot strip the gateway’s own', async () => {
    const client = await openRaw(pipeline.port)
    client.send(
      handshake({
        Connection: 'Connection: Upgrade, X-Forwarded-For, Forwarded, X-Private',
        private: 'X-Private: 1',
        forwarded: 'X-Forwarded-For: 203.0.113.9',
        origin: 'Origin: https://shop.example',
      }),
    )
    await client.waitFor('HTTP/1.1 101 ')
    const { headers } = upstream.handshakes.at(-1)!
    assert.equal(headers['x-forwarded-for'], '127.0.0.1')
    assert.match(headers.forwarded ?? '', /^for=127\.0\.0\.1;/)
    assert.equal(headers.via, '1.1 myesi-gateway')
    assert.equal(headers['x-private'], undefined)
    assert.equal(headers.origin, 'https://shop.example')
    assert.equal(headers.connection, 'upgrade')
    assert.equal(headers.upgrade, 'websocket')
    client.destroy()
  })

  it('carries messages of many megabytes', async () => {
    const socket = await openWebSocket(`${pipeline.url}/app`)
    const message = Buffer.alloc(24 * MIB, 'x')
    socket.send(message)
    const [data] = (await once(socket, 'message')) as [Buffer]
    assert.ok(data.equals(message))
    socket.terminate()
  })

  it('stops the sender while the other side does not read', async () => {
    const socket = await openWebSocket(`${pipeline.url}/app`)
    const upstreamSocket = upstream.sockets.at(-1)!
    for (const [from, to] of [
      [socket, upstreamSocket],
      [upstreamSocket, socket],
    ] as const) {
      connectionOf(to).pause()
      for (let sent = 0; sent < 64 * MIB; sent += MIB) from.send(Buffer.alloc(MIB))
      let before = -1
      const waiting = await until(
        () => {
          const steady = from.bufferedAmount === before && before
          before = from.bufferedAmount
          return steady
        },
        { what: 'the sender stands still', intervalMs: 200 },
      )
      // The rest is in the buffers of two connections, and only a little in the gateway's.
      assert.ok(waiting > 40 * MIB, `${64 * MIB - waiting} bytes were taken`)
      connectionOf(to).resume()
      await until(() => from.bufferedAmount === 0, { what: 'everything is taken' })
    }
    socket.terminate()
  })

  it('is served when 200 are open at once', async () => {
    const sockets = await Promise.all(Array.from({ length: 200 }, () => openWebSocket(`${pipeline.url}/app`)))
    const answers = sockets.map(messageOn)
    for (const [index, socket] of sockets.entries()) socket.send(`${index}`)
    assert.deepEqual(await Promise.all(answers), [...sockets.keys()].map(String))
    for (const socket of sockets) socket.close()
    const counted = await pipeline.ended(200)
    assert.deepEqual(new Set(counted.map(({ outcome }) => outcome)), new Set(['ok']))
    assert.equal(await pipeline.connections(), 0)
  })

  describe('ends', () => {
    it('when its client closes, for the upstream too, and its outcome is not a fault', async () => {
      const socket = await openWebSocket(`${pipeline.url}/app`)
      const closed = closeOf(upstream.sockets.at(-1)!)
      socket.terminate()
      assert.equal(await closed, 1006)
      assert.equal((await pipeline.ended(1))[0]?.outcome, 'ok')
      assert.equal((await lineOf())['ended_by'], 'client')
    })

    it('when its client resets the connection', async () => {
      const socket = await openWebSocket(`${pipeline.url}/app`)
      const closed = closeOf(upstream.sockets.at(-1)!)
      ;(connectionOf(socket) as unknown as { resetAndDestroy(): void }).resetAndDestroy()
      await closed
      assert.equal((await pipeline.ended(1))[0]?.outcome, 'ok')
      assert.equal((await lineOf())['ended_by'], 'client')
    })

    it('when the upstream closes, and its last bytes are delivered', async () => {
      const socket = await openWebSocket(`${pipeline.url}/app`)
      const closed = closeOf(socket)
      upstream.sockets.at(-1)?.close(1001, 'going away')
      assert.equal(await closed, 1001)
      assert.equal((await pipeline.ended(1))[0]?.outcome, 'ok')
    })

    it('when the upstream connection breaks, and its outcome is a fault', async () => {
      const socket = await openWebSocket(`${pipeline.url}/app`)
      const closed = closeOf(socket)
      const connection = connectionOf(upstream.sockets.at(-1)!)
      ;(connection as unknown as { resetAndDestroy(): void }).resetAndDestroy()
      assert.equal(await closed, 1006)
      assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'fault', reason: 'reset' }])
      const { status, ended_by: endedBy, error } = await lineOf()
      assert.deepEqual({ status, endedBy }, { status: 101, endedBy: 'upstream' })
      assert.equal((error as { code: string }).code, 'ECONNRESET')
    })

    it('when the process stops', async () => {
      const socket = await openWebSocket(`${pipeline.url}/app`)
      const closed = [closeOf(socket), closeOf(upstream.sockets.at(-1)!)]
      await pipeline.stop()
      assert.deepEqual(await Promise.all(closed), [1006, 1006])
      assert.deepEqual(pipeline.counted, [{ route: '/app', outcome: 'refusal', reason: 'draining' }])
      assert.equal((await lineOf())['ended_by'], 'gateway')
    })

    it('after one side has half-closed, once the other one has answered', async () => {
      const raw = await startRawUpstream(connection => {
        connection.write(SWITCHED)
        connection.on('end', () => connection.end('last words'))
      })
      const other = await startPipeline(proxyTo(raw.url))
      const client = await openRaw(other.port)
      client.send(handshake())
      await client.waitFor('101 ')
      client.socket.end()
      assert.match(await client.closed(), /last words$/)
      assert.equal((await other.ended(1))[0]?.outcome, 'ok')
      await other.stop()
      await raw.stop()
    })

    it('when it is idle for too long; pings count as activity', async () => {
      const other = await startPipeline(proxyTo(upstream.url, { route: { websocket: { idleTimeout: '1s' } } }))
      const socket = await openWebSocket(`${other.url}/app`)
      const closed = closeOf(socket)
      const openedAt = performance.now()
      for (let pings = 0; pings < 3; pings++) {
        await new Promise(resolve => setTimeout(resolve, 600))
        socket.ping()
        await once(socket, 'pong')
      }
      assert.equal(await closed, 1006)
      assert.ok(performance.now() - openedAt > 2_700)
      assert.equal((await other.ended(1))[0]?.outcome, 'ok')
      assert.equal(other.logs.find(entry => entry['event'] === 'request')?.['ended_by'], 'idle_timeout')
      await other.stop()
    })
  })

  describe('is refused', () => {
    it('by a rate limit, before it reaches the upstream', async () => {
      const seen = upstream.handshakes.length
      const other = await startPipeline(proxyTo(upstream.url, { route: { rateLimit: { limit: 1, window: '60s' } } }))
      const socket = await openWebSocket(`${other.url}/app`)
      const answer = await refusedWebSocket(`${other.url}/app`)
      assert.equal(answer.status, 429)
      assert.equal(problemOf(answer)['reason'], 'limited')
      assert.match(String(answer.headers['ratelimit']), /^"default"; ?r=0/)
      assert.ok(Number(answer.headers['retry-after']) > 0)
      assert.equal(answer.headers.connection, 'close')
      assert.equal(upstream.handshakes.length, seen + 1)
      socket.terminate()
      await other.stop()
    })

    it('where the route disables WebSockets', async () => {
      const other = await startPipeline(proxyTo(upstream.url, { route: { websocket: false } }))
      const answer = await refusedWebSocket(`${other.url}/app`)
      assert.equal(answer.status, 403)
      assert.equal(problemOf(answer)['reason'], 'forbidden')
      await other.stop()
    })

    it('or served as a plain GET, if an earlier response on the connection is not finished', async () => {
      const plain = await startUpstream()
      const other = await startPipeline(proxyTo(plain.url, { route: { websocket: false } }))
      const fields = 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
      const handshake = `GET /app HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\n${fields}\r\n\r\n`
      const answers = await rawExchange(other.port, `GET /app HTTP/1.1\r\nHost: a\r\n\r\n${handshake}`)
      assert.doesNotMatch(answers, /HTTP\/1\.1 101 /)
      assert.ok(plain.requests.every(({ headers }) => headers.upgrade === undefined))
      await other.stop()
      await plain.stop()
    })

    it('where no route matches', async () => {
      assert.equal(problemOf(await refusedWebSocket(`${pipeline.url}/elsewhere`))['reason'], 'no_route')
      assert.deepEqual(await pipeline.ended(1), [{ route: undefined, outcome: 'refusal', reason: 'no_route' }])
    })

    it('with 502 when the upstream refuses the connection', async () => {
      const gone = await startUpstream()
      await gone.stop()
      const other = await startPipeline(proxyTo(gone.url))
      const answer = await refusedWebSocket(`${other.url}/app`)
      assert.equal(answer.status, 502)
      assert.equal(problemOf(answer)['reason'], 'connect_refused')
      await other.stop()
    })

    it('with 504 when the upstream does not answer in time', async () => {
      const silent = await startRawUpstream(() => undefined)
      const other = await startPipeline(proxyTo(silent.url, { route: { timeouts: { response: '100ms' } } }))
      assert.equal(problemOf(await refusedWebSocket(`${other.url}/app`))['reason'], 'response_timeout')
      await other.stop()
      await silent.stop()
    })

    it('with 502 when the upstream switches to another protocol', async () => {
      const odd = await startRawUpstream(connection => connection.write(SWITCHED.replace('websocket', 'h2c')))
      const other = await startPipeline(proxyTo(odd.url))
      assert.equal(problemOf(await refusedWebSocket(`${other.url}/app`))['reason'], 'bad_response')
      await other.stop()
      await odd.stop()
    })

    it('with 502 when the upstream answers with header fields that cannot be forwarded', async () => {
      const odd = await startRawUpstream(connection =>
        connection.write(SWITCHED.replace('\r\n\r\n', '\r\nX: \x01\r\n\r\n')),
      )
      const other = await startPipeline(proxyTo(odd.url))
      assert.equal(problemOf(await refusedWebSocket(`${other.url}/app`))['reason'], 'bad_response')
      await other.stop()
      await odd.stop()
    })

    it('with the refusal of the upstream, including its body', async () => {
      const body = Buffer.alloc(4 * MIB, 'no')
      const plain = await startUpstream((_request, response) => {
        response.writeHead(404, { 'X-Why': 'because' }).end(body)
      })
      const other = await startPipeline(proxyTo(plain.url))
      // A server without upgrade support answers it as a plain request.
      const answer = await refusedWebSocket(`${other.url}/app`)
      assert.equal(answer.status, 404)
      assert.equal(answer.headers['x-why'], 'because')
      assert.ok(answer.body.equals(body))
      assert.equal(answer.headers.connection, 'close')
      assert.deepEqual(await other.ended(1), [{ route: '/app', outcome: 'ok', reason: undefined }])
      await other.stop()
      await plain.stop()
    })

    it('and a client that leaves before the answer is noticed, whatever it has sent', async () => {
      const silent = await startRawUpstream(() => undefined)
      const other = await startPipeline(proxyTo(silent.url))
      for (const leave of ['destroy', 'end', 'resetAndDestroy'] as const) {
        for (const early of ['', 'e', 'e'.repeat(20_000)]) {
          const client = await openRaw(other.port)
          client.send(handshake() + early)
          await until(() => silent.open === 1, { what: 'the handshake is under way' })
          client.send(early)
          client.socket[leave]()
          await until(() => silent.open === 0, { what: `the call is cancelled: ${leave}, ${early.length} bytes early` })
          client.destroy()
        }
      }
      const counted = await other.ended(9)
      assert.deepEqual(new Set(counted.map(({ reason }) => reason)), new Set(['client_closed']))
      await other.stop()
      await silent.stop()
    })

    const FAULTY: Readonly<Record<string, string>> = {
      'a key is missing': handshake({ 'Sec-WebSocket-Key': undefined }),
      'the key is too short': handshake({ 'Sec-WebSocket-Key': 'Sec-WebSocket-Key: c2hvcnQ=' }),
      'there are two keys': handshake({ extra: 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' }),
      'the version is missing': handshake({ 'Sec-WebSocket-Version': undefined }),
      'the version is another one': handshake({ 'Sec-WebSocket-Version': 'Sec-WebSocket-Version: 8' }),
      'the method is not GET': handshake({}, 'POST /app HTTP/1.1'),
      'it has a body': `${handshake({ extra: 'Content-Length: 5' })}hello`,
      'it has a chunked body': `${handshake({ extra: 'Transfer-Encoding: chunked' })}0\r\n\r\n`,
      'the Host is missing': handshake({ Host: undefined }),
      'the path is ambiguous': handshake({}, 'GET /app/../x HTTP/1.1'),
    }
    for (const [what, bytes] of Object.entries(FAULTY)) {
      it(`with 400 when ${what} (RFC 6455 §4.2.1)`, async () => {
        const seen = upstream.requests.length + upstream.handshakes.length
        const answer = await rawExchange(pipeline.port, bytes)
        assert.match(answer, /^HTTP\/1\.1 400 /)
        assert.match(answer, /"reason":"bad_request"/)
        assert.match(answer, /\r\nConnection: close\r\n/)
        if (what.startsWith('the version')) assert.match(answer, /\r\nSec-WebSocket-Version: 13\r\n/)
        assert.equal(upstream.requests.length + upstream.handshakes.length, seen)
        assert.equal((await pipeline.ended(1)).length, 1)
      })
    }
  })

  it('is recognised in upper case and in a list of protocols', async () => {
    const client = await openRaw(pipeline.port)
    client.send(handshake({ Upgrade: 'Upgrade: h2c, WebSocket' }))
    await client.waitFor('HTTP/1.1 101 ')
    const { headers } = upstream.handshakes.at(-1)!
    assert.equal(headers.upgrade, 'websocket')
    client.destroy()
  })

  const IGNORED: Readonly<Record<string, string>> = {
    'h2c (RFC 9113 §3.1)': handshake({
      Connection: 'Connection: Upgrade, HTTP2-Settings',
      Upgrade: 'Upgrade: h2c',
      extra: 'HTTP2-Settings: AAMAAABkAAQ',
    }),
    'another protocol': handshake({ Upgrade: 'Upgrade: TLS/1.2' }),
    'a name that only begins like it': handshake({ Upgrade: 'Upgrade: websocket2' }),
    'WebSocket over HTTP/1.0 (RFC 9110 §7.8)': handshake({}, 'GET /app HTTP/1.0'),
    'WebSocket without Connection (RFC 9110 §7.8)': handshake({ Connection: undefined }),
  }
  for (const [what, bytes] of Object.entries(IGNORED)) {
    it(`is not ${what}: the gateway serves that as a plain request`, async () => {
      const plain = await startUpstream()
      const other = await startPipeline(proxyTo(plain.url))
      const client = await openRaw(other.port)
      client.send(bytes)
      assert.match(await client.waitFor('\r\n\r\nok'), /^HTTP\/1\.1 200 /)
      for (const name of ['upgrade', 'http2-settings']) assert.equal(plain.requests[0]?.headers[name], undefined, name)
      client.destroy()
      await other.stop()
      await plain.stop()
    })
  }

  it('that is requested before an earlier response is finished does not overtake it', async () => {
    const plain = await startUpstream((request, response) => {
      if (request.url === '/app/first') setTimeout(() => response.end('first'), 100)
      else response.end('second')
    })
    const other = await startPipeline(proxyTo(plain.url))
    const client = await openRaw(other.port)
    client.send(`GET /app/first HTTP/1.1\r\nHost: a\r\n\r\n${handshake()}`)
    const answers = await client.waitFor(/second/)
    assert.match(answers, /^HTTP\/1\.1 200 [^]*first[^]*HTTP\/1\.1 200 [^]*second$/)
    client.destroy()
    await other.stop()
    await plain.stop()
  })

  it('can open on a connection that has served requests', async () => {
    const client = await openRaw(pipeline.port)
    client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.waitFor('\r\n\r\nok')
    client.send(handshake())
    await client.waitFor('HTTP/1.1 101 ')
    client.destroy()
  })

  it('cannot open at the path of one of the gateway’s own pages, which is served instead', async () => {
    const answer = await refusedWebSocket(`${pipeline.url}/`)
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.connection, 'close')
  })

  it('does not affect other requests', async () => {
    const sockets = await Promise.all(Array.from({ length: 20 }, () => openWebSocket(`${pipeline.url}/app`)))
    assert.equal((await send(pipeline.port, '/app')).status, 200)
    for (const socket of sockets) socket.terminate()
  })

  it('stays open when a new configuration no longer names its upstream', async () => {
    const other = await startWebSocketUpstream()
    const socket = await openWebSocket(`${pipeline.url}/app`)
    pipeline.reload(proxyTo(other.url))
    const next = await openWebSocket(`${pipeline.url}/app`)
    for (const each of [socket, next]) {
      each.send('still there')
      assert.equal(await messageOn(each), 'still there')
      each.terminate()
    }
    assert.equal(other.handshakes.length, 1)
    await pipeline.ended(2)
    await other.stop()
  })

  it('counts as a call in flight while it is open, but uses none of the request connections', async () => {
    const other = await startPipeline(proxyTo(upstream.url, { upstream: { maxConnections: 1 } }))
    const sockets = await Promise.all(Array.from({ length: 3 }, () => openWebSocket(`${other.url}/app`)))
    assert.equal((await send(other.port, '/app')).status, 200)
    for (const socket of sockets) socket.terminate()
    await other.stop()
  })
})

describe('a WebSocket is sent to another target', () => {
  it('when the first one refuses the connection', async () => {
    const upstream = await startWebSocketUpstream(echo)
    const gone = await startUpstream()
    await gone.stop()
    const file = proxyTo(gone.url, { upstream: { targets: [gone.url, upstream.url], retries: { attempts: 2 } } })
    const pipeline = await startPipeline(file)
    for (let i = 0; i < 2; i++) {
      const socket = await openWebSocket(`${pipeline.url}/app`)
      socket.send('there')
      assert.equal(await messageOn(socket), 'there')
      socket.terminate()
    }
    await pipeline.stop()
    await upstream.stop()
  })
})

describe('an upstream that keeps its half of a WebSocket open after the client has left', () => {
  it('is disconnected by the gateway', async () => {
    const open: Socket[] = []
    const server = createServer({ allowHalfOpen: true }, socket => {
      open.push(socket)
      socket.on('error', () => undefined)
      socket.once('data', () => socket.write(SWITCHED))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const pipeline = await startPipeline(proxyTo(`http://127.0.0.1:${port}`))
    const client = await openRaw(pipeline.port)
    client.send(handshake())
    await client.waitFor('101 Switching Protocols')
    client.socket.end()
    const [ended] = await pipeline.ended(1)
    assert.equal(ended?.outcome, 'ok')
    await pipeline.stop()
    for (const socket of open) socket.destroy()
    server.close()
    await once(server, 'close')
  })
})
