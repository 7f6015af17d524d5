import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { createAuthority, type Authority, type Certificate } from '../support/certificates'
import { openHttp2, sendHttp2 } from '../support/http2-client'
import { answerOf, problemOf, responseTo, type Answer } from '../support/send'
import { proxyTo, startPipeline, type GatewayFile, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

describe('client certificates', () => {
  let ofServer: Authority
  let ofClients: Authority
  let server: Certificate
  let acme: Certificate
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    ofServer = createAuthority('Server Authority')
    ofClients = createAuthority('Client Authority')
    server = ofServer.issue('localhost')
    acme = ofClients.issueClient({
      commonName: 'acme',
      uri: 'spiffe://corp.example/acme',
      email: 'ops@acme.example',
      dns: ['acme.internal', 'other.internal'],
    })
    upstream = await startUpstream()
  })
  afterEach(async () => {
    await pipeline.stop()
  })
  after(async () => {
    await upstream.stop()
  })

  interface Given extends Partial<GatewayFile> {
    readonly clients?: object
    readonly entrypoint?: object
    readonly route?: object
  }

  async function start({ clients, entrypoint, ...file }: Given = {}): Promise<void> {
    const clientCertificates = { ca: ofClients.certFile, ...clients }
    const tls = { cert: server.certFile, key: server.keyFile, clientCertificates }
    pipeline = await startPipeline(proxyTo(upstream.url, { ...file, entrypoint: { ...entrypoint, tls } }))
  }

  const trusting = (client?: Certificate): object => ({
    ca: ofServer.cert,
    servername: 'localhost',
    ...(client && { cert: client.cert, key: client.key }),
  })

  async function send(client?: Certificate, headers: Record<string, string> = {}): Promise<Answer> {
    const options = { host: '127.0.0.1', port: pipeline.port, path: '/app', headers, agent: false, ...trusting(client) }
    const sent = httpsRequest(options)
    sent.end()
    return answerOf(await responseTo(sent))
  }

  async function sendByHttp2(client?: Certificate, headers: Record<string, string> = {}): Promise<number> {
    const session = await openHttp2(`https://127.0.0.1:${pipeline.port}`, trusting(client))
    try {
      return (await sendHttp2(session, { ':path': '/app', ...headers })).status
    } finally {
      session.destroy()
    }
  }

  /** Waits until the connection is closed, as it is for a client that is refused. */
  async function refusalOf(client: Certificate | undefined, options: object = {}): Promise<void> {
    const socket = connect({ host: '127.0.0.1', port: pipeline.port, ...trusting(client), ...options })
    let received = ''
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
    socket.on('error', () => {})
    socket.on('secureConnect', () => socket.write('GET /app HTTP/1.1\r\nHost: a\r\n\r\n'))
    // Not `once()`, which rejects for the error before it.
    await new Promise(resolve => socket.once('close', resolve))
    assert.equal(received, '')
  }

  const failures = (): unknown[] =>
    pipeline.logs.flatMap(line => (line.msg === 'TLS handshake failed' ? [line['type']] : []))

  async function failed(type: string): Promise<void> {
    await until(() => failures().includes(type), { what: `${type} among ${failures().join()}` })
  }

  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    describe(`with ${maxVersion}`, () => {
      it('refuses a client without one in the handshake, and serves nothing', async () => {
        await start()
        await refusalOf(undefined, { maxVersion })
        await failed('client_certificate_missing')
        assert.deepEqual(pipeline.counted, [])
      })

      for (const required of [true, false]) {
        const mode = required ? 'required' : 'optional'
        it(`refuses one of another authority and an expired one, ${mode}`, async () => {
          await start({ clients: { required } })
          await refusalOf(createAuthority('Strangers').issueClient({ commonName: 'acme' }), { maxVersion })
          await failed('client_certificate_untrusted')
          await refusalOf(ofClients.issueClient({ commonName: 'acme', validForMs: -86_400_000 }), { maxVersion })
          await failed('client_certificate_expired')
          assert.deepEqual(pipeline.counted, [])
        })

        it(`keeps the client of a resumed session, ${mode}`, async () => {
          await start({ clients: { required }, route: { auth: { certificate: true } } })
          const first = await openSession(acme, { maxVersion })
          const { session } = first
          first.socket.destroy()
          const second = await openSession(acme, { maxVersion, session })
          assert.equal(second.socket.isSessionReused(), true)
          assert.match(second.answer, /^HTTP\/1\.1 200 /)
          assert.equal(upstream.requests.at(-1)?.headers['x-consumer-name'], 'certificate:acme')
          second.socket.destroy()
        })
      }

      it('does not take a resumed session without one for a client with one', async () => {
        await start({ clients: { required: false }, route: { auth: { certificate: true } } })
        const first = await openSession(undefined, { maxVersion })
        assert.match(first.answer, /^HTTP\/1\.1 401 /)
        const second = await openSession(acme, { maxVersion, session: first.session })
        assert.match(second.answer, second.socket.isSessionReused() ? /^HTTP\/1\.1 401 / : /^HTTP\/1\.1 200 /)
        first.socket.destroy()
        second.socket.destroy()
      })

      it('refuses a resumed session whose certificate has expired since', async () => {
        await start({ clients: { required: false } })
        const brief = ofClients.issueClient({ commonName: 'brief', validForMs: 2_500 })
        const first = await openSession(brief, { maxVersion })
        assert.match(first.answer, /^HTTP\/1\.1 200 /)
        first.socket.destroy()
        const expiry = new X509Certificate(brief.cert).validToDate.getTime()
        await until(() => Date.now() > expiry, { what: 'it expires' })
        await refusalOf(brief, { maxVersion, session: first.session })
        await failed('client_certificate_expired')
      })
    })
  }

  async function openSession(
    client: Certificate | undefined,
    options: object,
  ): Promise<{ socket: TLSSocket; session: Buffer | undefined; answer: string }> {
    const socket = connect({ host: '127.0.0.1', port: pipeline.port, ...trusting(client), ...options })
    let session: Buffer | undefined
    socket.on('session', received => (session = received))
    await once(socket, 'secureConnect')
    socket.write('GET /app HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    await until(() => session !== undefined || socket.isSessionReused(), { what: 'the session can be resumed' })
    return { socket, session, answer: answer.toString('latin1') }
  }

  it('name a consumer of the file, with its tier and scopes, over HTTP/1.1 and HTTP/2', async () => {
    await start({
      consumers: { 'acme-corp': { certificates: ['acme'], scopes: ['orders:read'] } },
      route: { auth: { certificate: true, scopes: ['orders:read'] } },
    })
    assert.equal((await send(acme)).status, 200)
    assert.equal(upstream.requests.at(-1)?.headers['x-consumer-name'], 'acme-corp')
    assert.equal(await sendByHttp2(acme), 200)
    assert.equal(upstream.requests.at(-1)?.headers['x-consumer-name'], 'acme-corp')
    // Valid, but of a client that the file does not know: it has no scopes.
    const stranger = ofClients.issueClient({ commonName: 'stranger' })
    const refused = await send(stranger)
    assert.equal(problemOf(refused)['reason'], 'forbidden')
    assert.equal(pipeline.logs.findLast(({ event }) => event === 'request')?.['consumer'], 'certificate:stranger')
  })

  const SUBJECTS = {
    cn: 'acme',
    dn: 'CN=acme',
    uri: 'spiffe://corp.example/acme',
    dns: 'acme.internal',
    email: 'ops@acme.example',
  }
  for (const [subject, name] of Object.entries(SUBJECTS)) {
    it(`name their client by ${subject}`, async () => {
      await start({
        clients: { subject },
        consumers: { known: { certificates: [name] } },
        route: { auth: { certificate: true } },
      })
      await send(acme)
      assert.equal(upstream.requests.at(-1)?.headers['x-consumer-name'], 'known')
    })
  }

  it('without the part that names their client are no credential', async () => {
    await start({ clients: { subject: 'uri' }, route: { auth: { certificate: true } } })
    // Its extension for other names is empty, which Node cannot format.
    const answer = await send(ofClients.issueClient({ commonName: 'acme' }))
    assert.equal(answer.status, 401)
    assert.equal(answer.headers['www-authenticate'], 'ClientCertificate realm="myesi-gateway"')
  })

  it('are needed only on routes that ask for them where they are optional', async () => {
    await start({ clients: { required: false }, route: { auth: { certificate: true } } })
    assert.equal((await send()).status, 401)
    assert.equal(await sendByHttp2(), 401)
    assert.equal((await send(acme)).status, 200)
  })

  it('give way to an API key in the request', async () => {
    await start({
      consumers: { keyed: { apiKeys: ['sha256:2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683'] } },
      route: { auth: { certificate: true, apiKey: {} } },
    })
    assert.equal((await send(acme, { 'x-api-key': 'key' })).status, 200)
    assert.equal(upstream.requests.at(-1)?.headers['x-consumer-name'], 'keyed')
    assert.equal((await send(acme, { 'x-api-key': 'other' })).status, 401)
    assert.equal((await send(acme)).status, 200)
  })

  it('are a key of limits', async () => {
    await start({ route: { rateLimit: { limit: 1, window: '1h', key: 'certificate' } } })
    const other = ofClients.issueClient({ commonName: 'other' })
    assert.deepEqual([(await send(acme)).status, await sendByHttp2(other)], [200, 200])
    assert.deepEqual([(await send(acme)).status, await sendByHttp2(other)], [429, 429])
  })

  for (const place of ['route', 'entrypoint'] as const) {
    it(`are admitted by the access list of the ${place}`, async () => {
      const access = { certificates: ['acme'] }
      await start({ clients: { required: false }, [place]: { access } })
      assert.equal((await send(acme)).status, 200)
      for (const other of [ofClients.issueClient({ commonName: 'other' }), undefined]) {
        assert.equal(problemOf(await send(other))['reason'], 'forbidden')
        assert.equal(await sendByHttp2(other), 403)
      }
    })
  }

  describe('forwarded in Client-Cert', () => {
    const forged = { 'client-cert': ':Zm9yZ2Vk:', 'client-cert-chain': ':Zm9yZ2Vk:', client_cert: ':Zm9yZ2Vk:' }
    const seen = (): Record<string, unknown> => {
      const { headers } = upstream.requests.at(-1)!
      return Object.fromEntries(Object.entries(headers).filter(([name]) => /^client[-_]cert/.test(name)))
    }

    it('replace what the client wrote', async () => {
      await start({ clients: { forward: true, required: false } })
      const expected = { 'client-cert': `:${new X509Certificate(acme.cert).raw.toString('base64')}:` }
      await send(acme, forged)
      assert.deepEqual(seen(), expected)
      await sendByHttp2(acme, forged)
      assert.deepEqual(seen(), expected)
      await send(undefined, forged)
      assert.deepEqual(seen(), {})
    })

    it('replace what a trusted proxy wrote, also where underscores pass', async () => {
      await start({
        clients: { required: false },
        entrypoint: { trustedProxies: ['127.0.0.1'], underscoreHeaders: true },
      })
      await send(acme, forged)
      assert.deepEqual(seen(), {})
    })
  })

  it('are checked by new authorities without a restart, also for resumed sessions', async () => {
    const ca = join(temporaryFolder(), 'ca.pem')
    copyFileSync(ofClients.certFile, ca)
    await start({ clients: { ca } })
    const first = await openSession(acme, {})
    const later = createAuthority('Later Authority')
    const bob = later.issueClient({ commonName: 'bob' })
    await refusalOf(bob)
    copyFileSync(later.certFile, ca)
    await until(async () => (await send(bob).catch(() => undefined))?.status === 200, { what: 'the new authority' })
    await refusalOf(acme)
    await refusalOf(acme, { session: first.session })
    first.socket.destroy()
  })
})
