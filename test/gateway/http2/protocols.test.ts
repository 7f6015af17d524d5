import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { createAuthority, type Authority, type Certificate } from '../../support/certificates'
import { openHttp2, sendHttp2 } from '../../support/http2-client'
import { END_STREAM, END_HEADERS, FRAME, frame, framesOf, headerBlock, requestFields } from '../../support/http2-frames'
import { openRaw, rawExchange } from '../../support/raw-http'
import { send } from '../../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../../support/start-upstream'
import { until } from '../../support/until'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

describe('the protocol of a connection', () => {
  let authority: Authority
  let certificate: Certificate
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    authority = createAuthority('Test Authority')
    certificate = authority.issue('localhost')
    upstream = await startUpstream()
  })
  afterEach(async () => {
    await pipeline.stop()
  })
  after(async () => {
    await upstream.stop()
  })

  async function startSecurely(http2: object = {}): Promise<void> {
    const tls = { cert: certificate.certFile, key: certificate.keyFile }
    pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint: { tls, http2 } }))
  }

  async function handshake(ALPNProtocols: string[] | undefined): Promise<string | false | null> {
    const socket: TLSSocket = connectTls({
      port: pipeline.port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: authority.cert,
      ...(ALPNProtocols && { ALPNProtocols }),
    })
    await once(socket, 'secureConnect')
    socket.write('GET /app HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    if (socket.alpnProtocol !== 'h2') assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200 /)
    socket.destroy()
    return socket.alpnProtocol
  }

  it('is chosen by the client through ALPN with TLS', async () => {
    await startSecurely()
    const session = await openHttp2(pipeline.url, { ca: authority.cert, servername: 'localhost' })
    const answer = await sendHttp2(session, { ':path': '/app' })
    assert.deepEqual([answer.status, answer.text], [200, 'ok'])
    assert.match(String(upstream.requests.at(-1)?.headers.forwarded), /proto=https$/)
    session.destroy()
    assert.equal(await handshake(['http/1.1']), 'http/1.1')
    assert.equal(await handshake(['http/1.1', 'h2']), 'h2')
    assert.equal(await handshake(undefined), false)
  })

  it('is HTTP/1.1 only with TLS where the file says so', async () => {
    await startSecurely({ tls: false })
    assert.equal(await handshake(['h2', 'http/1.1']), 'http/1.1')
    await assert.rejects(handshake(['h2']))
  })

  it('without TLS is HTTP/2 for a client that sends its preface, and HTTP/1.1 for all others', async () => {
    pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint: { http2: { cleartext: true } } }))
    const session = await openHttp2(pipeline.url)
    assert.equal((await sendHttp2(session, { ':path': '/app' })).status, 200)
    session.destroy()
    assert.equal((await send(pipeline.port, '/app')).status, 200)
    assert.equal((await send(pipeline.port, { path: '/app', method: 'PROPFIND' })).status, 200)
    // Pipelined requests still work.
    const both = await rawExchange(
      pipeline.port,
      'GET /app HTTP/1.1\r\nHost: a\r\n\r\nGET /app HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    )
    assert.equal(both.split('HTTP/1.1 200').length, 3)
  })

  it('is detected also when the first bytes arrive one by one', async () => {
    pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint: { http2: { cleartext: true } } }))
    const request = frame(FRAME.headers, END_STREAM | END_HEADERS, 1, headerBlock(requestFields('/app')))
    const bytes = Buffer.concat([Buffer.from(PREFACE), frame(FRAME.settings, 0, 0), request])
    const connection = await openRaw(pipeline.port)
    connection.socket.setNoDelay(true)
    for (const byte of bytes) {
      connection.send(Buffer.of(byte))
      await new Promise(resolve => setImmediate(resolve))
    }
    await until(() => framesOf(connection).some(({ type }) => type === FRAME.data), { what: 'the answer' })
    connection.destroy()
    const slow = await openRaw(pipeline.port)
    for (const byte of 'PROPFIND /app HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n') slow.send(byte)
    assert.match(await slow.closed(), /^HTTP\/1\.1 200 /)
  })

  it('without TLS is HTTP/1.1 by default', async () => {
    pipeline = await startPipeline(proxyTo(upstream.url))
    assert.match(await rawExchange(pipeline.port, PREFACE), /^(?:HTTP\/1\.1 (?:400|505) |$)/)
  })

  it('does not keep a silent connection open, nor one that sent only part of the preface', async () => {
    pipeline = await startPipeline(
      proxyTo(upstream.url, { entrypoint: { headersTimeout: '200ms', http2: { cleartext: true } } }),
    )
    const [silent, halting, idle] = [
      await openRaw(pipeline.port),
      await openRaw(pipeline.port),
      await openRaw(pipeline.port),
    ]
    halting.send(PREFACE.slice(0, 10))
    idle.send(PREFACE)
    assert.match(await silent.closed(), /^HTTP\/1\.1 408 /)
    assert.match(await halting.closed(), /^HTTP\/1\.1 408 /)
    await idle.closed()
    await until(async () => (await pipeline.connections()) === 0, { what: 'no connection is left' })
  })

  it('changes on a reload for new connections', async () => {
    pipeline = await startPipeline(proxyTo(upstream.url))
    pipeline.reload(proxyTo(upstream.url, { entrypoint: { http2: { cleartext: true } } }))
    const session = await openHttp2(pipeline.url)
    assert.equal((await sendHttp2(session, { ':path': '/app' })).status, 200)
    session.destroy()
  })

  it('does not affect the limit of connections per client, which counts both', async () => {
    pipeline = await startPipeline(
      proxyTo(upstream.url, { entrypoint: { maxConnectionsPerClient: 1, http2: { cleartext: true } } }),
    )
    const session = await openHttp2(pipeline.url)
    assert.equal((await sendHttp2(session, { ':path': '/app' })).status, 200)
    assert.equal(await rawExchange(pipeline.port, ''), '')
    session.destroy()
  })
})
