import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Reason } from '../../src/errors/reasons'
import { freePort } from '../support/free-port'
import { openRaw } from '../support/raw-http'
import { open, problemOf, responseTo, send, type Answer } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startProcess } from '../support/start-process'
import { startRawUpstream } from '../support/start-raw-upstream'
import { startUpstream } from '../support/start-upstream'
import { until } from '../support/until'

/** The response to one request, which names the reason and no detail of the upstream. */
async function expectFault(pipeline: Pipeline, reason: Reason, status: number): Promise<Answer> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const before = pipeline.counted.length
  const answer = await send(pipeline.port, { path: '/app?secret=1', agent })
  assert.equal(answer.status, status)
  const { title, ...problem } = problemOf(answer)
  assert.deepEqual(problem, { type: `tag:myesi-gateway,2026:${reason}`, status, outcome: 'fault', reason })
  assert.match(String(title), /^The upstream |^No secure /)
  assert.equal(answer.headers['cache-control'], 'no-store')
  assert.equal(answer.headers.connection, 'keep-alive')
  assert.deepEqual((await pipeline.ended(before + 1)).at(-1), { route: '/app', outcome: 'fault', reason })
  const line = pipeline.logs.findLast(entry => entry['event'] === 'request')
  assert.partialDeepStrictEqual(line, { level: 'error', status, outcome: 'fault', reason, path: '/app' })
  assert.ok(!JSON.stringify(line).includes('secret'), 'no query in the log')
  // The client can continue on the same connection.
  assert.equal((await send(pipeline.port, { path: '/', agent })).status, 200)
  agent.destroy()
  return answer
}

async function withPipeline(target: string, use: (pipeline: Pipeline) => Promise<void>, upstream = {}): Promise<void> {
  const pipeline = await startPipeline(proxyTo(target, { upstream }))
  try {
    await use(pipeline)
  } finally {
    await pipeline.stop()
  }
}

describe('when the upstream', () => {
  it('refuses the connection, the response is 502, and the first one after its restart is 200', async () => {
    const port = await freePort()
    await withPipeline(`http://127.0.0.1:${port}`, async pipeline => {
      const { text } = await expectFault(pipeline, 'connect_refused', 502)
      for (const inside of ['127.0.0.1', String(port), 'ECONNREFUSED', 'stack', '.js', 'app']) {
        assert.ok(!text.includes(inside), `${inside} in ${text}`)
      }
      assert.partialDeepStrictEqual(
        pipeline.logs.find(entry => entry['outcome'] === 'fault'),
        {
          target: `http://127.0.0.1:${port}`,
          error: { code: 'ECONNREFUSED' },
        },
      )
      const upstream = await startUpstream(undefined, { port })
      assert.equal((await send(pipeline.port, '/app')).status, 200)
      await upstream.stop()
    })
  })

  it('cannot be resolved, the response is 502', async () => {
    await withPipeline('http://no-such-host.invalid', pipeline =>
      expectFault(pipeline, 'dns', 502).then(() => undefined),
    )
  }).timeout(30_000)

  it('does not accept the connection in time, the response is a 504 at the timeout', async () => {
    const { port, free } = await startDeafServer()
    await withPipeline(
      `http://127.0.0.1:${port}`,
      async pipeline => {
        const started = performance.now()
        await expectFault(pipeline, 'connect_timeout', 504)
        const took = performance.now() - started
        assert.ok(took >= 290 && took < 900, `${took} ms`)
      },
      { timeouts: { connect: '300ms' } },
    )
    await free()
  })

  it('closes or resets the connection before it answers, the response is 502', async () => {
    for (const end of [(socket: Socket) => socket.end(), (socket: Socket) => socket.resetAndDestroy()]) {
      const upstream = await startRawUpstream(end)
      await withPipeline(upstream.url, pipeline => expectFault(pipeline, 'reset', 502).then(() => undefined))
      await upstream.stop()
    }
  })

  it('closes in the middle of its header section, the response is 502', async () => {
    const upstream = await startRawUpstream(socket => socket.end('HTTP/1.1 200 OK\r\nX-Half'))
    await withPipeline(upstream.url, pipeline => expectFault(pipeline, 'reset', 502).then(() => undefined))
    await upstream.stop()
  })

  for (const [what, fields, body, reason] of [
    ['chunks', 'Transfer-Encoding: chunked', '5\r\nhello\r\n', 'reset'],
    [
      'chunks, and announced that it would close',
      'Transfer-Encoding: chunked\r\nConnection: close',
      '5\r\nhello\r\n',
      'bad_response',
    ],
    ['a body that ends with its connection', 'X-Other: 1', 'hello', 'reset'],
  ] as const) {
    it(`resets in the middle of its body, the client’s connection breaks: ${what}`, async () => {
      let reset: (() => void) | undefined
      const upstream = await startRawUpstream(socket => {
        socket.write(`HTTP/1.1 200 OK\r\n${fields}\r\n\r\n${body}`)
        reset = () => socket.resetAndDestroy()
      })
      await withPipeline(upstream.url, async pipeline => {
        const client = await openRaw(pipeline.port)
        client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
        await client.waitFor('hello')
        reset?.()
        const received = await client.closed()
        assert.ok(!received.includes('\r\n0\r\n'), 'no last chunk')
        assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'fault', reason }])
      })
      await upstream.stop()
    })
  }

  it('does not answer in time, the response is a 504 at the timeout, and the call is cancelled', async () => {
    const upstream = await startRawUpstream(() => undefined)
    await withPipeline(
      upstream.url,
      async pipeline => {
        const started = performance.now()
        await expectFault(pipeline, 'response_timeout', 504)
        const took = performance.now() - started
        assert.ok(took >= 290 && took < 900, `${took} ms`)
        await until(() => upstream.open === 0, { what: 'the connection is closed' })
      },
      { timeouts: { response: '300ms' } },
    )
    await upstream.stop()
  })

  it('stops sending in the middle of its body, the client’s connection breaks at the timeout', async () => {
    const upstream = await startRawUpstream(socket => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello')
    })
    await withPipeline(
      upstream.url,
      async pipeline => {
        const client = await openRaw(pipeline.port)
        client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
        await client.closed(900)
        assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'fault', reason: 'response_timeout' }])
      },
      { timeouts: { response: '300ms' } },
    )
    await upstream.stop()
  })

  it('pauses between chunks for less than the timeout, the response arrives whole', async () => {
    const upstream = await startUpstream((_request, response) => {
      let sent = 0
      const timer = setInterval(() => {
        response.write(`${++sent}`)
        if (sent < 6) return
        clearInterval(timer)
        response.end()
      }, 100)
    })
    await withPipeline(
      upstream.url,
      async pipeline => assert.equal((await send(pipeline.port, '/app')).text, '123456'),
      { timeouts: { response: '350ms' } },
    )
    await upstream.stop()
  })

  it('closes an idle connection, the next request uses another and succeeds', async () => {
    const upstream = await startRawUpstream(socket => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      setImmediate(() => socket.end())
    })
    await withPipeline(upstream.url, async pipeline => {
      for (let i = 1; i <= 5; i++) {
        assert.equal((await send(pipeline.port, '/app')).status, 200)
        await until(() => upstream.open === 0, { what: 'the connection is closed' })
      }
      assert.equal(upstream.accepted, 5)
    })
    await upstream.stop()
  })

  it('keeps its connections open, they are reused', async () => {
    const upstream = await startRawUpstream(socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    await withPipeline(upstream.url, async pipeline => {
      for (let i = 0; i < 5; i++) await send(pipeline.port, '/app')
      assert.equal(upstream.accepted, 1)
    })
    await upstream.stop()
  })

  it('has several targets, they receive requests in turn', async () => {
    const both = [await startUpstream(), await startUpstream()]
    const file = { ...proxyTo(''), upstreams: { app: { targets: both.map(({ url }) => url) } } }
    const pipeline = await startPipeline(file)
    for (let i = 0; i < 6; i++) await send(pipeline.port, '/app')
    assert.deepEqual(
      both.map(({ requests }) => requests.length),
      [3, 3],
    )
    await pipeline.stop()
    await Promise.all(both.map(upstream => upstream.stop()))
  })
})

describe('when the client is slow', () => {
  it('to upload, the upstream timeout does not apply', async () => {
    const upstream = await startUpstream((request, response) => {
      let bytes = 0
      request.on('data', (chunk: Buffer) => (bytes += chunk.length))
      request.on('end', () => response.end(String(bytes)))
    })
    await withPipeline(
      upstream.url,
      async pipeline => {
        const upload = open(pipeline.port, { path: '/app', method: 'POST' })
        const started = performance.now()
        upload.write('first')
        await until(() => performance.now() - started > 900, { what: 'three times the timeout' })
        upload.end('last')
        assert.equal((await responseTo(upload)).statusCode, 200)
      },
      { timeouts: { response: '300ms' } },
    )
    await upstream.stop()
  })

  it('to upload, the upstream timeout starts with the last byte', async () => {
    const upstream = await startUpstream(request => request.resume())
    await withPipeline(
      upstream.url,
      async pipeline => {
        const upload = open(pipeline.port, { path: '/app', method: 'POST' })
        upload.write('first')
        const started = performance.now()
        await until(() => performance.now() - started > 450, { what: 'more than the timeout' })
        const ended = performance.now()
        upload.end('last')
        assert.equal((await responseTo(upload)).statusCode, 504)
        const took = performance.now() - ended
        assert.ok(took >= 290 && took < 900, `${took} ms`)
      },
      { timeouts: { response: '300ms' } },
    )
    await upstream.stop()
  })

  it('to read, the upstream timeout does not apply', async () => {
    const size = 32 * 1024 * 1024
    const upstream = await startUpstream((_request, response) => response.end(Buffer.alloc(size)))
    await withPipeline(
      upstream.url,
      async pipeline => {
        const client = await openRaw(pipeline.port)
        client.socket.pause()
        client.send('GET /app HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
        const started = performance.now()
        await until(() => performance.now() - started > 900, { what: 'three times the timeout' })
        client.socket.resume()
        assert.ok((await client.closed()).length > size)
      },
      { timeouts: { response: '300ms' } },
    )
    await upstream.stop()
  })

  it('and the upstream does not read the upload, the upstream timeout applies', async () => {
    const upstream = await startUpstream(request => request.pause())
    await withPipeline(
      upstream.url,
      async pipeline => {
        const upload = open(pipeline.port, { path: '/app', method: 'POST' })
        upload.on('error', () => undefined) // the gateway closes it with the response
        upload.write(Buffer.alloc(32 * 1024 * 1024))
        assert.equal((await responseTo(upload)).statusCode, 504)
        upload.destroy()
        assert.equal((await pipeline.ended(1)).at(-1)?.reason, 'response_timeout')
      },
      { timeouts: { response: '300ms' } },
    )
    await upstream.stop()
  })
})

describe('when the target is https', () => {
  it('and does not speak TLS, the response is 502', async () => {
    const upstream = await startUpstream()
    const target = upstream.url.replace('http:', 'https:')
    await withPipeline(target, pipeline => expectFault(pipeline, 'tls', 502).then(() => undefined))
    await upstream.stop()
  })

  it('the gateway offers only HTTP/1.1 to it', async () => {
    let hello = ''
    const server = createServer(socket => {
      socket.on('error', () => undefined)
      socket.once('data', chunk => {
        hello = chunk.toString('latin1')
        socket.destroy()
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await withPipeline(`https://127.0.0.1:${port}`, async pipeline => {
      assert.equal((await send(pipeline.port, '/app')).status, 502)
    })
    assert.ok(hello.includes('http/1.1'))
    assert.ok(!hello.includes('\x02h2'), 'no HTTP/2 among the protocols')
    server.close()
    await once(server, 'close')
  })
})

/** A server that accepts no connections and whose queue is full: the kernel lets new callers wait. */
async function startDeafServer(): Promise<{ port: number; free: () => Promise<void> }> {
  const script = `const server = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () =>
    console.log('port', server.address().port))`
  const child = startProcess({ name: 'deaf server', path: process.execPath, args: ['-e', script] })
  const line = await child.waitForLine('port', text => text.startsWith('port '))
  const port = Number(line.slice('port '.length))
  child.signal('SIGSTOP')
  const queue: Socket[] = []
  let connected = true
  while (connected) {
    const socket = connect(port, '127.0.0.1')
    queue.push(socket)
    socket.on('error', () => undefined) // waiting connections are closed below
    connected = await until(() => !socket.connecting, { what: 'a place', timeoutMs: 300 }).catch(() => false)
  }
  return {
    port,
    free: async () => {
      for (const socket of queue) socket.destroy()
      await child.kill()
    },
  }
}
