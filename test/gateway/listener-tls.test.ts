import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { parseGatewayFile } from '../../src/config/gateway-file'
import { createAuthority, type Authority, type Certificate } from '../support/certificates'
import { rawExchange } from '../support/raw-http'
import { answerOf, problemOf, responseTo, type Answer, type Message } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'
import {
  closeOf,
  messageOn,
  openWebSocket,
  startWebSocketUpstream,
  type WebSocketUpstream,
} from '../support/web-sockets'

describe('TLS on the listener', () => {
  let authority: Authority
  let first: Certificate
  let files: { readonly cert: string; readonly key: string }
  let upstream: WebSocketUpstream
  let pipeline: Pipeline

  before(async () => {
    authority = createAuthority('Test Authority')
    first = authority.issue('localhost')
    upstream = await startWebSocketUpstream()
  })
  beforeEach(async () => {
    const folder = temporaryFolder()
    files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
    install(first)
    pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint: { tls: files, headersTimeout: '500ms' } }))
  })
  afterEach(async () => {
    await pipeline.stop()
  })
  after(async () => {
    await upstream.stop()
  })

  function install({ certFile, keyFile }: Certificate): void {
    copyFileSync(certFile, files.cert)
    copyFileSync(keyFile, files.key)
  }

  const trusting = (): { ca: string; servername: string } => ({ ca: authority.cert, servername: 'localhost' })

  async function sendSecurely(message: Message, agent: Agent | false = false): Promise<Answer> {
    const { path, method = 'GET', body } = message
    const sent = request({ host: '127.0.0.1', port: pipeline.port, path, method, agent, ...trusting() })
    sent.end(body)
    return answerOf(await responseTo(sent))
  }

  async function openSecurely(options: ConnectionOptions = {}): Promise<TLSSocket> {
    const socket = connect({ host: '127.0.0.1', port: pipeline.port, ...trusting(), ...options })
    await once(socket, 'secureConnect')
    return socket
  }

  /** The serial number of the certificate that the listener shows on a new connection. */
  async function serialNow(): Promise<string> {
    const socket = await openSecurely()
    const { serialNumber } = socket.getPeerCertificate()
    socket.destroy()
    return serialNumber
  }

  const logged = (message: string): number => pipeline.logs.filter(({ msg }) => msg === message).length
  const refused = (): number => logged('new certificate refused, the old one stays')

  it('allows TLS 1.2 with forward secrecy and authenticated encryption only, also after a renewal', async () => {
    const negotiated = async (ciphers: string): Promise<string> => {
      const socket = await openSecurely({ maxVersion: 'TLSv1.2', ciphers })
      const { standardName } = socket.getCipher()
      socket.destroy()
      return standardName
    }
    for (const round of [1, 2]) {
      for (const suite of ['ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384', 'AES128-GCM-SHA256']) {
        await assert.rejects(negotiated(`${suite}:@SECLEVEL=0`), suite)
      }
      assert.equal(await negotiated('ECDHE-ECDSA-AES128-GCM-SHA256'), 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256')
      const socket = await openSecurely()
      assert.equal(socket.getProtocol(), 'TLSv1.3')
      socket.destroy()
      if (round === 2) return
      const before = await serialNow()
      install(authority.issue('localhost'))
      await until(async () => (await serialNow()) !== before, { what: 'the new certificate' })
    }
  })

  it('serves requests, and reports https to the upstream', async () => {
    const answer = await sendSecurely({ path: '/app', method: 'POST', body: 'hello' })
    assert.equal(answer.text, 'ok')
    const { headers } = upstream.requests.at(-1)!
    assert.equal(headers['x-forwarded-proto'], 'https')
    assert.match(String(headers.forwarded), /;proto=https$/)
  })

  it('serves the gateway’s own page and metrics', async () => {
    assert.equal((JSON.parse((await sendSecurely({ path: '/' })).text) as { status: string }).status, 'ok')
    assert.equal((await sendSecurely({ path: '/metrics' })).text, '# scraped\n')
  })

  it('serves several requests on one connection', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let i = 0; i < 3; i++) assert.equal((await sendSecurely({ path: '/app' }, agent)).status, 200)
    assert.equal(await pipeline.connections(), 1)
    agent.destroy()
  })

  it('serves many pipelined requests, and continues reading after them', async () => {
    const many = 300
    const socket = await openSecurely()
    let received = ''
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
    socket.write(`GET /app?${'q'.repeat(1_000)} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(many))
    await until(() => received.match(/HTTP\/1\.1 200 /g)?.length === many, { what: 'every response' })
    socket.destroy()
  })

  it('notices that a client left behind hundreds of pipelined requests', async () => {
    const silent = await startUpstream(() => undefined)
    const other = await startPipeline(proxyTo(silent.url, { entrypoint: { tls: files } }))
    const socket = connect({ host: '127.0.0.1', port: other.port, ...trusting() })
    await once(socket, 'secureConnect')
    socket.write('GET /app HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(300))
    await until(() => silent.requests.length === 1, { what: 'the call' })
    socket.destroy()
    assert.deepEqual((await other.ended(1))[0]?.outcome, 'client_closed')
    await other.stop()
    await silent.stop()
  })

  it('refuses requests in the same way as without TLS', async () => {
    assert.equal(problemOf(await sendSecurely({ path: '/elsewhere' }))['reason'], 'no_route')
    const socket = await openSecurely()
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    assert.match(answer.toString(), /^HTTP\/1\.1 400 /)
    socket.destroy()
    const slow = await openSecurely()
    slow.write('GET / HTTP/1.1\r\nHo')
    const [late] = (await once(slow, 'data')) as [Buffer]
    assert.match(late.toString(), /^HTTP\/1\.1 408 /)
    slow.destroy()
  })

  it('carries WebSockets', async () => {
    const socket = await openWebSocket(`${pipeline.url}/app`, trusting())
    socket.send('hello')
    assert.equal(await messageOn(socket), 'hello')
    socket.close(1000)
    assert.equal(await closeOf(socket), 1000)
    await pipeline.ended(1)
    const line = pipeline.logs.find(({ event }) => event === 'request')!
    assert.deepEqual([line['outcome'], line['bytes_in'], line['bytes_out']], ['ok', 19, 11])
  })

  it('rejects versions older than its minimum', async () => {
    const newest = { minVersion: '1.3', ...files }
    const other = await startPipeline(proxyTo(upstream.url, { entrypoint: { tls: newest } }))
    const socket = connect({ host: '127.0.0.1', port: other.port, ...trusting(), maxVersion: 'TLSv1.2' })
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    assert.match(error.code ?? '', /PROTOCOL_VERSION/)
    await other.stop()
    assert.equal((await openSecurely({ maxVersion: 'TLSv1.2' })).destroy().destroyed, true)
  })

  describe('with a faulty client', () => {
    const failure = (): string | undefined => {
      const line = pipeline.logs.find(({ msg }) => msg === 'TLS handshake failed')
      return (line?.['error'] as { code: string } | undefined)?.code
    }

    it('closes a connection that sends plain HTTP', async () => {
      assert.equal(await rawExchange(pipeline.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'), '')
      await until(failure, { what: 'it is logged' })
      assert.equal(failure(), 'ERR_SSL_HTTP_REQUEST')
      assert.deepEqual(pipeline.counted, [])
    })

    it('closes a connection that does not start its handshake in time', async () => {
      const startedAt = performance.now()
      await rawExchange(pipeline.port, '')
      assert.ok(performance.now() - startedAt < 5_000)
      assert.equal(failure(), 'ERR_TLS_HANDSHAKE_TIMEOUT')
    })

    it('is not disturbed by a client that leaves during the handshake', async () => {
      for (let i = 0; i < 20; i++) {
        const socket = connectTcp(pipeline.port, '127.0.0.1')
        await once(socket, 'connect')
        socket.write(Buffer.from('16030100', 'hex'))
        if (i % 2 === 0) socket.resetAndDestroy()
        else socket.destroy()
      }
      assert.equal((await sendSecurely({ path: '/app' })).status, 200)
    })
  })

  describe('with a new certificate', () => {
    it('uses it for new connections and keeps open ones', async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      assert.equal((await sendSecurely({ path: '/app' }, agent)).status, 200)
      const before = await serialNow()
      install(authority.issue('localhost'))
      await until(async () => (await serialNow()) !== before, { what: 'the new certificate is shown' })
      assert.equal((await sendSecurely({ path: '/app' }, agent)).status, 200)
      agent.destroy()
      assert.equal(logged('new certificate in use'), 1)
    })

    it('accepts it as a new file of the same name', async () => {
      const before = await serialNow()
      const { certFile, keyFile } = authority.issue('localhost')
      renameSync(keyFile, files.key)
      renameSync(certFile, files.cert)
      await until(async () => (await serialNow()) !== before, { what: 'the new certificate is shown' })
    })

    const BAD: Readonly<Record<string, () => void>> = {
      'that is none': () => writeFileSync(files.cert, 'not a certificate'),
      'that is empty': () => writeFileSync(files.cert, ''),
      'of another key': () => copyFileSync(authority.issue('localhost').certFile, files.cert),
      'that has expired': () => install(authority.issueExpired('localhost')),
      'that is not there': () => rmSync(files.cert),
    }
    for (const [what, spoil] of Object.entries(BAD)) {
      it(`refuses ${what}, logs it once and keeps the old certificate`, async () => {
        const before = await serialNow()
        spoil()
        await until(() => refused() > 0, { what: 'it is said' })
        assert.equal(await serialNow(), before)
        install(authority.issue('localhost'))
        await until(async () => (await serialNow()) !== before, { what: 'a good one is taken' })
        assert.ok(refused() <= 2, `said ${refused()} times`) // twice if one check saw only one of the two new files
      })
    }
  })
})

describe('entrypoint.tls in gateway.yaml', () => {
  const authority = createAuthority('Test Authority')

  function problemsWith(tls: object): string[] {
    const file = { ...proxyTo('http://127.0.0.1:1'), entrypoint: { tls } }
    return parseGatewayFile(JSON.stringify(file), 'gateway.yaml', {}).problems.map(
      ({ where, problem }) => `${where.replace(/:\d+:\d+/, '')} ${problem}`,
    )
  }

  it('accepts the version with and without quotes', () => {
    const { certFile: cert, keyFile: key } = authority
    for (const minVersion of ['1.2', 1.2, '1.3', 1.3]) assert.deepEqual(problemsWith({ cert, key, minVersion }), [])
  })

  it('reports problems with the files before it listens', () => {
    const { certFile: cert, keyFile: key } = authority
    const other = authority.issue('localhost')
    const missing = join(temporaryFolder(), 'none.pem')
    for (const [tls, expected] of [
      [{ cert }, /^gateway\.yaml entrypoint\.tls.*key.* is missing/],
      [{ cert: missing, key }, /^gateway\.yaml entrypoint\.tls\.cert .* is not there/],
      [{ cert: temporaryFolder(), key }, /tls\.cert .* cannot be read \(EISDIR\)/],
      [{ cert: key, key }, /^gateway\.yaml entrypoint\.tls\.cert .* does not contain what is expected/],
      [{ cert, key: other.keyFile }, /^gateway\.yaml entrypoint\.tls\.key .* is not the key of this certificate/],
      [
        { cert, key, minVersion: '1.1' },
        /^gateway\.yaml entrypoint\.tls\.minVersion .* is not a supported TLS version/,
      ],
    ] as const) {
      const problems = problemsWith(tls)
      assert.equal(problems.length, 1, problems.join('\n'))
      assert.match(problems[0]!, expected)
    }
  })
})
