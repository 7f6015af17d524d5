import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { openRaw } from '../../support/raw-http'
import { startPipeline, type Pipeline } from '../../support/start-pipeline'
import { bodyOf, startUpstream, type RunningUpstream } from '../../support/start-upstream'
import { until } from '../../support/until'

const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const SMUGGLED = GET('/app/smuggled')

function statusesIn(received: string): number[] {
  return [...received.matchAll(/(?:^|[^ ])HTTP\/1\.1 (\d{3}) /g)].map(match => Number(match[1]))
}

describe('one client connection', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    upstream = await startUpstream((request, response) => {
      void bodyOf(request).then(() => response.end(`answer to ${request.url ?? ''}.`))
    })
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] }, none: { targets: ['http://127.0.0.1:1'] } },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app' },
        { name: 'limited', match: { path: '/limited' }, upstream: 'app', rateLimit: { limit: 1, window: '1h' } },
        { name: 'none', match: { path: '/none' }, upstream: 'none' },
      ],
    })
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })
  const seen = (): string[] => upstream.requests.map(request => request.url)

  it('serves pipelined requests one after the other, in their order', async () => {
    let underWay = 0
    let most = 0
    upstream.handler = (request, response) => {
      most = Math.max(most, ++underWay)
      response.on('close', () => underWay--)
      setTimeout(() => response.end(`answer to ${request.url ?? ''}.`), 20)
    }
    const client = await openRaw(pipeline.port)
    client.send(GET('/app/1') + GET('/app/2') + GET('/nowhere') + GET('/app/3'))
    const received = await client.waitFor('answer to /app/3.')
    client.destroy()
    assert.deepEqual(statusesIn(received), [200, 200, 404, 200])
    assert.deepEqual(received.match(/answer to [^.]*/g), ['answer to /app/1', 'answer to /app/2', 'answer to /app/3'])
    assert.deepEqual(seen(), ['/app/1', '/app/2', '/app/3'])
    assert.equal(most, 1, 'requests under way at once')
  })

  for (const [how, field, body] of [
    ['without a body', '', ''],
    ['with a body', 'Content-Length: 5\r\n', 'hello'],
  ] as const) {
    it(`closes after a request ${how} whose upgrade is declined if Node's parser dropped a second request`, async () => {
      const upgrade = `Host: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n`
      const client = await openRaw(pipeline.port)
      client.send(`POST /app/1 HTTP/1.1\r\n${upgrade}${field}\r\n${body}${GET('/app/2')}`)
      await client.waitFor('answer to /app/1.')
      // Its response would be taken for that to the second request.
      client.send(GET('/app/3'))
      const received = await client.closed()
      assert.deepEqual(received.match(/answer to [^.]*/g), ['answer to /app/1'])
      assert.match(received, /\r\nConnection: close\r\n/)
    })
  }

  it('stays open after a request whose upgrade is declined if no other request came with it', async () => {
    const client = await openRaw(pipeline.port)
    client.send('GET /app/1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n')
    await client.waitFor('answer to /app/1.')
    client.send(GET('/app/2'))
    const received = await client.waitFor('answer to /app/2.')
    client.destroy()
    assert.doesNotMatch(received, /Connection: close/)
  })

  it('serves a request with a body only after the previous response has ended', async () => {
    const held: (() => void)[] = []
    upstream.handler = (request, response) => {
      void bodyOf(request).then(body => {
        held.push(() => response.end(`${request.method ?? ''} ${String(body)}.`))
      })
    }
    const client = await openRaw(pipeline.port)
    const post = (body: string): string =>
      `POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    client.send(post('first') + post('second') + 'DELETE /app HTTP/1.1\r\nHost: a\r\n\r\n')
    for (const expected of ['POST first.', 'POST second.', 'DELETE .']) {
      await until(() => held.length > 0, { what: 'the next request' })
      // The others have arrived with it, but the gateway has not started them.
      assert.equal(held.length, 1)
      held.pop()?.()
      await client.waitFor(expected)
    }
    client.destroy()
    assert.equal((await pipeline.ended(3)).length, 3)
  })

  it('measures the time of a request from its start, not from its arrival', async () => {
    upstream.handler = (request, response) => {
      if (request.url === '/app/slow') setTimeout(() => response.end('slow.'), 400)
      else response.end('fast.')
    }
    const client = await openRaw(pipeline.port)
    client.send(GET('/app/slow') + GET('/app/fast'))
    await client.waitFor('fast.')
    client.destroy()
    await pipeline.ended(2)
    const [slow, fast] = pipeline.logs.filter(({ event }) => event === 'request').map(log => Number(log['duration_ms']))
    assert.ok(Number(slow) >= 390, `${slow} ms`)
    assert.ok(Number(fast) < 300, `${fast} ms`)
  })

  it('serves a request with Expect: 100-continue that waits behind another one', async () => {
    const client = await openRaw(pipeline.port)
    client.send(`${GET('/app/1')}POST /app/2 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`)
    await client.waitFor(/answer to \/app\/1\.HTTP\/1\.1 100 Continue\r\n\r\n$/)
    client.send('hello')
    await client.waitFor('answer to /app/2.')
    client.destroy()
  })

  it('drops waiting requests when its client leaves: they reach no upstream and are not counted', async () => {
    upstream.handler = () => undefined
    const client = await openRaw(pipeline.port)
    client.send(GET('/app/1') + GET('/app/2') + GET('/app/3'))
    await until(() => seen().length === 1, { what: 'the first' })
    client.destroy()
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'client_closed', reason: 'client_closed' }])
    await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
    upstream.handler = (_request, response) => response.end('ok')
    const next = await openRaw(pipeline.port)
    next.send(GET('/app/4'))
    await next.waitFor('ok')
    next.destroy()
    assert.deepEqual(seen(), ['/app/1', '/app/4'])
    assert.equal((await pipeline.ended(2)).length, 2)
  })

  it('answers a waiting request that turns out to be malformed in its turn, without the upstream', async () => {
    let end: (() => void) | undefined
    upstream.handler = (_request, response) => (end = () => response.end('first.'))
    const client = await openRaw(pipeline.port)
    client.send(`${GET('/app/1')}POST /app/2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n`)
    await until(() => end !== undefined, { what: 'the first' })
    end?.()
    const received = await client.closed()
    assert.deepEqual(statusesIn(received), [200, 400])
    assert.match(received, /first\.HTTP\/1\.1 400 Bad Request\r\n[^]*"reason":"bad_request"/)
    assert.deepEqual(seen(), ['/app/1'])
    assert.deepEqual(await pipeline.ended(2), [
      { route: '/app', outcome: 'ok', reason: undefined },
      { route: undefined, outcome: 'refusal', reason: 'bad_request' },
    ])
  })

  it('serves the requests before malformed bytes, and then refuses those and closes', async () => {
    const client = await openRaw(pipeline.port)
    client.send(`${GET('/app/1')}${GET('/app/2')}nonsense\r\n\r\n`)
    const received = await client.closed()
    assert.deepEqual(received.match(/answer to [^.]*/g), ['answer to /app/1', 'answer to /app/2'])
    assert.deepEqual(statusesIn(received), [200, 200, 400])
    assert.ok((await pipeline.ended(3)).some(({ reason }) => reason === 'bad_request'))
  })

  it('gets the refusal of malformed bytes behind a request that the gateway answers itself', async () => {
    const client = await openRaw(pipeline.port)
    client.send(`${GET('/nowhere')}nonsense\r\n\r\n`)
    assert.deepEqual(statusesIn(await client.closed()), [404, 400])
  })

  for (const [what, behind] of [
    ['malformed bytes', 'nonsense\r\n\r\n'],
    ['a malformed body', 'POST /app/2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n'],
  ] as const) {
    it(`notices that its client left while a request waits for its response before ${what}`, async () => {
      upstream.handler = () => undefined
      const client = await openRaw(pipeline.port)
      client.send(GET('/app/1') + behind)
      await until(() => seen().length === 1, { what: 'the first' })
      client.destroy()
      assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'client_closed', reason: 'client_closed' }])
      await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
    })
  }

  it('gets its whole response although the next request is too slow', async () => {
    await pipeline.stop()
    pipeline = await startPipeline({
      entrypoint: { headersTimeout: '300ms' },
      upstreams: { app: { targets: [upstream.url] } },
      routes: [{ name: 'app', match: { path: '/app' }, upstream: 'app' }],
    })
    let end: (() => void) | undefined
    upstream.handler = (_request, response) => {
      response.write('begun, ')
      end = () => response.end('done.')
    }
    const client = await openRaw(pipeline.port)
    client.send(`${GET('/app/1')}GET /app/2 HTTP/1.1\r\n`)
    await client.waitFor('begun')
    const started = performance.now()
    // Node checks every second.
    await until(() => performance.now() - started > 2_500, { what: 'the time of its header section is over' })
    client.send('Host: a\r\n\r\n')
    end?.()
    const received = await client.closed()
    assert.deepEqual(statusesIn(received), [200, 408])
    assert.match(received, /begun, [^]*done\.[^]*HTTP\/1\.1 408/)
    assert.deepEqual(seen(), ['/app/1'])
  })

  it('refuses a tunnel in its turn, after the responses to the requests before it', async () => {
    let end: (() => void) | undefined
    upstream.handler = (request, response) => {
      if (request.url === '/app/1') end = () => response.end('first.')
      else response.end('second.')
    }
    const client = await openRaw(pipeline.port)
    client.send(`${GET('/app/1')}${GET('/app/2')}CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n${GET('/app/3')}`)
    await until(() => end !== undefined, { what: 'the first' })
    client.send(GET('/app/4'))
    end?.()
    const received = await client.closed()
    assert.deepEqual(statusesIn(received), [200, 200, 400])
    assert.match(received, /first\.HTTP[^]*second\.HTTP\/1\.1 400 Bad Request\r\n[^]*"reason":"bad_request"/)
    assert.deepEqual(seen(), ['/app/1', '/app/2'])
  })

  it('notices that its client left while the refusal of a tunnel waits', async () => {
    upstream.handler = () => undefined
    const client = await openRaw(pipeline.port)
    client.send(`${GET('/app/1')}CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n`)
    await until(() => seen().length === 1, { what: 'the first' })
    client.destroy()
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'client_closed', reason: 'client_closed' }])
    await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
  })

  for (const [what, bytes] of [
    ['malformed bytes', 'nonsense\r\n\r\n'],
    ['a tunnel', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n'],
    ['a malformed request', GET('/app/%00')],
  ] as const) {
    it(`gets the refusal of ${what} although it is still sending`, async () => {
      const client = await openRaw(pipeline.port)
      const writeErrors: Error[] = []
      client.socket.on('error', error => writeErrors.push(error))
      client.send(bytes)
      for (let i = 0; i < 20; i++) {
        client.send(Buffer.alloc(100_000, 'x'))
        await nextTurn()
      }
      assert.deepEqual(statusesIn(await client.closed()), [400])
      assert.deepEqual(writeErrors, [])
      await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
    })
  }

  it('is upgraded by no handshake behind requests that are not answered', async () => {
    const handshake = `GET /app/3 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${'a'.repeat(22)}==\r\n\r\n`
    const tunnel = 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n'
    for (const last of [handshake, tunnel]) {
      const client = await openRaw(pipeline.port)
      client.send(GET('/app/%00') + GET('/app/2') + last)
      assert.deepEqual(statusesIn(await client.closed()), [400])
      client.destroy()
    }
    await until(async () => (await pipeline.connections()) === 0, { what: 'the connections are closed' })
    assert.deepEqual(seen(), [])
  })

  it('is not parsed any more behind its last request, and is noticed when it leaves', async () => {
    upstream.handler = () => undefined
    let parsed = 0
    pipeline.server.on('request', () => parsed++)
    const accepted = once(pipeline.server, 'connection') as Promise<[Socket]>
    const client = await openRaw(pipeline.port)
    const [connection] = await accepted
    const last = 'POST /app/1 HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi'
    const others = GET('/app/2').repeat(50_000)
    client.send(last + others)
    await until(() => connection.bytesRead === last.length + others.length, { what: 'all of it is read' })
    assert.ok(parsed < 5_000, `${parsed} requests were parsed`)
    client.destroy()
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'client_closed', reason: 'client_closed' }])
    assert.deepEqual(seen(), ['/app/1'])
  })

  it('closes after a response with Connection: close: requests behind it reach no upstream', async () => {
    const client = await openRaw(pipeline.port)
    pipeline.drain()
    client.send(GET('/app/1') + GET('/app/2'))
    const received = await client.closed()
    assert.match(received, /\r\nConnection: close\r\n[^]*answer to \/app\/1\.$/)
    assert.deepEqual(seen(), ['/app/1'])
  })

  it('never treats bytes behind a request as a WebSocket, and serves them as the next request', async () => {
    const handshake = `GET /app/2 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${'a'.repeat(22)}==\r\n\r\n`
    const client = await openRaw(pipeline.port)
    client.send(GET('/app/1') + handshake)
    const received = await client.waitFor('answer to /app/2.')
    client.destroy()
    assert.deepEqual(statusesIn(received), [200, 200])
  })

  /** The body fills the gateway's buffers, so that Node pauses the connection and resumes it at the end. */
  const LARGE_POST = `POST /app/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(200_000)}`

  it('is not read further while many requests wait', async () => {
    upstream.handler = request => request.resume()
    const accepted = once(pipeline.server, 'connection') as Promise<[Socket]>
    const client = await openRaw(pipeline.port)
    const [connection] = await accepted
    client.send(LARGE_POST + GET(`/app/${'q'.repeat(1_000)}`).repeat(20_000))
    let last = 0
    const isStill = (): boolean => {
      const before = last
      last = connection.bytesRead
      return last === before && last > LARGE_POST.length
    }
    await until(isStill, { what: 'nothing more is read' })
    await until(isStill, { what: 'and that lasts' })
    client.destroy()
    assert.ok(last < LARGE_POST.length + 4 * 65_536, `${last} bytes were read`)
    assert.equal(seen().length, 1)
  })

  it('is read again after many requests have waited, and all of them are served', async () => {
    const many = 2_000
    const client = await openRaw(pipeline.port)
    client.send(LARGE_POST)
    for (let i = 1; i <= many; i++) client.send(GET(`/app/${i}?${'q'.repeat(1_000)}`))
    await until(() => seen().length === many + 1, { what: 'every one of them' })
    const received = await client.waitFor(`answer to /app/${many}?`)
    client.destroy()
    assert.equal(statusesIn(received).filter(status => status === 200).length, many + 1)
  })

  it('is closed when more than 500 requests wait on it', async () => {
    upstream.handler = () => undefined
    const client = await openRaw(pipeline.port)
    client.send(GET('/').repeat(2_000))
    const flood = await openRaw(pipeline.port)
    flood.send(GET('/app') + GET('/app').repeat(1_000))
    await flood.closed()
    await client.closed()
    assert.ok(pipeline.counted.some(({ reason }) => reason === 'bad_request'))
    assert.ok(seen().length <= 1)
  })

  it('restarts the timeout of a request whose reading was paused', async () => {
    await pipeline.stop()
    pipeline = await startPipeline({
      entrypoint: { headersTimeout: '300ms', requestTimeout: '1s' },
      upstreams: { app: { targets: [upstream.url] } },
      routes: [{ name: 'app', match: { path: '/app' }, upstream: 'app' }],
    })
    let end: (() => void) | undefined
    upstream.handler = (request, response) => {
      if (request.url === '/app/1') end = () => response.end('first.')
      else void bodyOf(request).then(body => response.end(`${body.length} bytes.`))
    }
    const client = await openRaw(pipeline.port)
    const started = performance.now()
    const body = 'x'.repeat(5_000_000)
    client.send(`${GET('/app/1')}POST /app/2 HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    // Node checks every second.
    await until(() => performance.now() - started > 3_500, { what: 'the time of a request is over' })
    end?.()
    await client.waitFor('5000000 bytes.')
    client.destroy()
  })

  it('stays open after a body that was read', async () => {
    const client = await openRaw(pipeline.port)
    const post = `POST /app/1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`
    client.send(post + GET('/app/2'))
    await client.waitFor('answer to /app/2.')
    client.destroy()
    assert.deepEqual(seen(), ['/app/1', '/app/2'])
  })

  const FRAMINGS: Readonly<Record<string, (body: string) => string>> = {
    'known length': body => `Content-Length: ${body.length}\r\n\r\n${body}`,
    'unknown length': body => `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  }
  const REFUSED: Readonly<Record<number, string>> = { 400: '/app/%00', 404: '/nowhere', 405: '/', 502: '/none' }
  for (const [framing, write] of Object.entries(FRAMINGS)) {
    for (const [status, path] of Object.entries(REFUSED)) {
      it(`never reads a body of ${framing} as a request after a ${status}`, async () => {
        const client = await openRaw(pipeline.port)
        const request = `POST ${path} HTTP/1.1\r\nHost: a\r\n${write(SMUGGLED)}`
        const split = request.indexOf('GET /app/smuggled')
        client.send(request.slice(0, split))
        await client.waitFor(/\r\n\r\n\{.*\}$/)
        client.send(request.slice(split))
        // Whether the connection stays open or not, the body remains a body.
        client.send(GET('/app/next'))
        const received = await client.waitFor('answer to /app/next.').catch(() => client.received)
        client.destroy()
        assert.equal(statusesIn(received)[0], Number(status))
        assert.ok(!seen().includes('/app/smuggled'), seen().join(' '))
        assert.ok(!received.includes('/app/smuggled'))
      })
    }
  }

  it('never reads a body as a request after a 429', async () => {
    const client = await openRaw(pipeline.port)
    client.send(GET('/limited'))
    await client.waitFor('answer to /limited.')
    client.send(`POST /limited HTTP/1.1\r\nHost: a\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n`)
    await client.waitFor('"limited"')
    client.send(SMUGGLED)
    client.send(GET('/app/next'))
    const received = await client.waitFor('answer to /app/next.').catch(() => client.received)
    client.destroy()
    assert.equal(statusesIn(received)[1], 429)
    assert.ok(!seen().includes('/app/smuggled'))
  })

  it('never reads a body as a request when the upstream answers before reading it', async () => {
    upstream.handler = (request, response) => {
      if (request.method === 'POST') response.writeHead(413).end('too much')
      else response.end(`answer to ${request.url ?? ''}.`)
    }
    const client = await openRaw(pipeline.port)
    client.send(`POST /app/1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${SMUGGLED.length + 1}\r\n\r\nx`)
    await client.waitFor('too much')
    client.send(SMUGGLED)
    client.send(GET('/app/next'))
    const received = await client.waitFor('answer to /app/next.').catch(() => client.received)
    client.destroy()
    assert.equal(statusesIn(received)[0], 413)
    assert.ok(!seen().includes('/app/smuggled'))
  })
})
