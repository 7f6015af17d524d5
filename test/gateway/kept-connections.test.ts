import assert from 'node:assert/strict'
import { openRaw } from '../support/raw-http'
import { send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startRawUpstream, type RawUpstream } from '../support/start-raw-upstream'
import { startUpstream } from '../support/start-upstream'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

describe('a kept connection that the upstream closes on its second request', () => {
  let upstream: RawUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    upstream = await startRawUpstream((socket, number) => {
      if (number === 1) socket.write(OK)
      else socket.destroy()
    })
    pipeline = await startPipeline(proxyTo(upstream.url))
    assert.equal((await send(pipeline.port, '/app')).status, 200)
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE', 'QUERY']) {
    it(`does not fail a ${method}: it is repeated on a fresh connection, without retries configured`, async () => {
      for (let i = 0; i < 4; i++) assert.equal((await send(pipeline.port, { path: '/app', method })).status, 200)
      assert.equal(pipeline.upstreams()[0]?.targets[0]?.activeCalls, 0)
    })
  }

  it('does not fail a POST whose body has not begun', async () => {
    const client = await openRaw(pipeline.port)
    client.send('POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n')
    assert.match(await client.waitFor(/\r\n\r\nok$/), /^HTTP\/1\.1 200 /)
    assert.equal(upstream.accepted, 2)
    client.destroy()
  })

  it('fails a POST, which may have arrived', async () => {
    assert.equal((await send(pipeline.port, { path: '/app', method: 'POST' })).status, 502)
    assert.equal(upstream.accepted, 1)
  })

  it('fails a PUT whose body was sent', async () => {
    assert.equal((await send(pipeline.port, { path: '/app', method: 'PUT', body: 'hello' })).status, 502)
    assert.equal(upstream.accepted, 1)
  })
})

describe('a request whose connection breaks before a response', () => {
  it('is repeated only once', async () => {
    let connections = 0
    const upstream = await startRawUpstream((socket, number) => {
      if (number === 1 && ++connections === 1) socket.write(OK)
      else socket.destroy()
    })
    const pipeline = await startPipeline(proxyTo(upstream.url))
    assert.equal((await send(pipeline.port, '/app')).status, 200)
    assert.equal((await send(pipeline.port, '/app')).status, 502)
    assert.equal(upstream.accepted, 2)
    await pipeline.stop()
    await upstream.stop()
  })

  it('is not repeated on a fresh connection to the only target: the request itself may be the cause', async () => {
    const upstream = await startRawUpstream(socket => socket.destroy())
    const pipeline = await startPipeline(proxyTo(upstream.url))
    assert.equal((await send(pipeline.port, '/app')).status, 502)
    assert.equal(upstream.accepted, 1)
    await pipeline.stop()
    await upstream.stop()
  })

  it('is not repeated after part of the response has arrived', async () => {
    const upstream = await startRawUpstream((socket, number) => {
      if (number === 1) socket.write(OK)
      else socket.write('HTTP/1.1 200 O', () => socket.destroy())
    })
    const pipeline = await startPipeline(proxyTo(upstream.url))
    assert.equal((await send(pipeline.port, '/app')).status, 200)
    assert.equal((await send(pipeline.port, '/app')).status, 502)
    assert.equal(upstream.accepted, 1)
    await pipeline.stop()
    await upstream.stop()
  })

  it('is not repeated on a route with retry: never', async () => {
    const upstream = await startRawUpstream((socket, number) => {
      if (number === 1) socket.write(OK)
      else socket.destroy()
    })
    const pipeline = await startPipeline(proxyTo(upstream.url, { route: { retry: 'never' } }))
    assert.equal((await send(pipeline.port, '/app')).status, 200)
    assert.equal((await send(pipeline.port, '/app')).status, 502)
    await pipeline.stop()
    await upstream.stop()
  })
})

describe('a login that is bound to a connection', () => {
  for (const scheme of ['NTLM', 'Negotiate']) {
    it(`by ${scheme} is never used for another client`, async () => {
      const loggedIn = new WeakSet<object>()
      const upstream = await startUpstream((request, response) => {
        if (request.headers.authorization !== undefined) loggedIn.add(request.socket)
        if (loggedIn.has(request.socket)) response.end('secret')
        else response.writeHead(401, { 'WWW-Authenticate': [scheme, 'Basic realm="a, b"'] }).end()
      })
      const pipeline = await startPipeline(proxyTo(upstream.url))
      const headers = { authorization: `${scheme} TlRMTVNTUAAD` }
      assert.equal((await send(pipeline.port, { path: '/app', headers })).text, 'secret')
      assert.equal((await send(pipeline.port, '/app')).status, 401)
      await pipeline.stop()
      await upstream.stop()
    })

    it(`by ${scheme} does not start on a connection that other clients share`, async () => {
      const sockets: object[] = []
      const upstream = await startUpstream((request, response) => {
        sockets.push(request.socket)
        response.writeHead(401, { 'WWW-Authenticate': `Basic realm="x", ${scheme}` }).end('no')
      })
      const pipeline = await startPipeline(proxyTo(upstream.url))
      for (let i = 0; i < 3; i++) assert.equal((await send(pipeline.port, '/app')).text, 'no')
      assert.equal(new Set(sockets).size, 3)
      await pipeline.stop()
      await upstream.stop()
    })
  }

  it('does not affect connections that use other schemes', async () => {
    const sockets = new Set<object>()
    const upstream = await startUpstream((request, response) => {
      sockets.add(request.socket)
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="NTLM"' }).end()
    })
    const pipeline = await startPipeline(proxyTo(upstream.url))
    for (let i = 0; i < 3; i++) await send(pipeline.port, { path: '/app', headers: { authorization: 'Basic YTpi' } })
    assert.equal(sockets.size, 1)
    await pipeline.stop()
    await upstream.stop()
  })
})
