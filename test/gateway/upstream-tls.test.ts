import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { parseGatewayFile } from '../../src/config/gateway-file'
import { createAuthority, type Authority, type Certificate } from '../support/certificates'
import { problemOf, send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startRawUpstream } from '../support/start-raw-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

describe('TLS to an upstream', () => {
  let authority: Authority
  let server: Server
  let pipeline: Pipeline
  /** What the server saw of each request: the server name, and the subject of the client certificate. */
  const seen: { name: unknown; client: string | undefined }[] = []

  before(() => {
    authority = createAuthority('Test Authority')
  })

  async function start(
    certificate: Certificate,
    upstream: object,
    { host = 'localhost', ...options }: ServerOptions & { host?: string } = {},
  ): Promise<void> {
    seen.length = 0
    server = createServer({ cert: certificate.cert, key: certificate.key, ...options }, (request, response) => {
      const socket = request.socket as TLSSocket
      const { subject } = socket.getPeerCertificate() ?? {}
      seen.push({ name: socket.servername, client: [subject?.CN].flat()[0] })
      response.end('secret')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    pipeline = await startPipeline(proxyTo(`https://${host}:${port}`, { upstream }))
  }

  afterEach(async () => {
    await pipeline.stop()
    server.close()
    server.closeAllConnections()
  })

  async function expectRefusal(code: RegExp): Promise<void> {
    const answer = await send(pipeline.port, '/app')
    assert.equal(answer.status, 502)
    assert.equal(problemOf(answer)['reason'], 'tls')
    const error = pipeline.logs.find(entry => entry['outcome'] === 'fault')?.['error'] as { code: string }
    assert.match(error.code, code)
    assert.equal(seen.length, 0)
  }

  it('uses a renewed authority file after the gateway reads its configuration again', async () => {
    const { certFile } = createAuthority('Another Authority')
    await start(authority.issue('localhost'), { tls: { ca: certFile } })
    await expectRefusal(/CERT|VERIFY/)
    const { port } = server.address() as AddressInfo
    copyFileSync(authority.certFile, certFile)
    pipeline.reload(proxyTo(`https://localhost:${port}`, { upstream: { tls: { ca: certFile } } }))
    assert.equal((await send(pipeline.port, '/app')).text, 'secret')
  })

  it('uses renewed files without a reload, keeps the old ones while new ones are not valid, and reports that', async () => {
    const folder = temporaryFolder()
    const tls = { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
    const install = ({ certFile, keyFile }: Certificate): void => {
      copyFileSync(keyFile, tls.key)
      copyFileSync(certFile, tls.cert)
    }
    copyFileSync(authority.certFile, tls.ca)
    install(authority.issue('old-client'))
    const asks = { requestCert: true, ca: authority.cert }
    // A lifetime of its own for each connection, so that each request shows what new connections use.
    await start(authority.issue('localhost'), { tls }, asks)
    server.keepAliveTimeout = 1
    const clientNow = async (): Promise<string | undefined> => {
      assert.equal((await send(pipeline.port, '/app')).text, 'secret')
      return seen.at(-1)?.client
    }
    assert.equal(await clientNow(), 'old-client')
    const refusals = (): number =>
      pipeline.logs.filter(({ msg }) => msg === 'new certificate refused, the old one stays').length
    for (const spoil of [
      () => writeFileSync(tls.ca, 'not a certificate'),
      () => install(authority.issueExpired('expired-client')),
      () => copyFileSync(authority.issue('other').certFile, tls.cert),
    ]) {
      const before = refusals()
      spoil()
      await until(() => refusals() > before, { what: 'the refusal is logged' })
      assert.equal(await clientNow(), 'old-client')
    }
    copyFileSync(authority.certFile, tls.ca)
    install(authority.issue('new-client'))
    await until(async () => (await clientNow()) === 'new-client', { what: 'the renewed certificate' })
    const renewed = pipeline.logs.filter(({ msg }) => msg === 'new certificate in use')
    assert.deepEqual([...new Set(renewed.map(line => line['upstream']))], ['app'])
    const another = createAuthority('Another Authority')
    copyFileSync(another.certFile, tls.ca)
    await until(async () => (await send(pipeline.port, '/app')).status === 502, { what: 'the renewed authority' })
  })

  it('is verified with the authority of the file', async () => {
    await start(authority.issue('localhost'), { tls: { ca: authority.certFile } })
    assert.equal((await send(pipeline.port, '/app')).text, 'secret')
    assert.deepEqual(seen, [{ name: 'localhost', client: undefined }])
  })

  it('fails with a certificate that no known authority has signed', async () => {
    await start(authority.issue('localhost'), {})
    await expectRefusal(/^UNABLE_TO_/)
  })

  it('fails with a certificate of another authority', async () => {
    const other = createAuthority('Other Authority')
    await start(authority.issue('localhost'), { tls: { ca: other.certFile } })
    await expectRefusal(/^UNABLE_TO_/)
  })

  it('fails with a certificate for another name', async () => {
    await start(authority.issue('orders.internal'), { tls: { ca: authority.certFile } })
    await expectRefusal(/^ERR_TLS_CERT_ALTNAME_INVALID$/)
  })

  it('requests the server name of the file, and verifies it', async () => {
    const tls = { ca: authority.certFile, serverName: 'orders.internal' }
    await start(authority.issue('orders.internal'), { tls }, { host: '127.0.0.1' })
    assert.equal((await send(pipeline.port, '/app')).text, 'secret')
    assert.deepEqual(seen, [{ name: 'orders.internal', client: undefined }])
  })

  it('presents a client certificate where the target requires one', async () => {
    const { certFile: cert, keyFile: key } = authority.issue('gateway.internal')
    const mutual = { requestCert: true, rejectUnauthorized: true, ca: authority.cert }
    await start(authority.issue('localhost'), { tls: { ca: authority.certFile, cert, key } }, mutual)
    assert.equal((await send(pipeline.port, '/app')).text, 'secret')
    assert.equal(seen[0]?.client, 'gateway.internal')
  })

  it('fails without a client certificate where the target requires one', async () => {
    const mutual = { requestCert: true, rejectUnauthorized: true, ca: authority.cert }
    await start(authority.issue('localhost'), { tls: { ca: authority.certFile } }, mutual)
    assert.equal((await send(pipeline.port, '/app')).status, 502)
    assert.equal(seen.length, 0)
  })

  it('is also used by health checks', async () => {
    const healthCheck = { path: '/', interval: '20ms', unhealthyAfter: 1 }
    await start(authority.issue('localhost'), { tls: { ca: authority.certFile }, healthCheck })
    await until(() => seen.length > 2, { what: 'some checks' })
    assert.ok(!pipeline.logs.some(entry => entry['healthy'] === false))
  })
})

describe('the files for TLS to an upstream', () => {
  const authority = createAuthority('Test Authority')
  const one = authority.issue('one.internal')
  const two = authority.issue('two.internal')

  function problemsOf(tls: object, target = 'https://orders.internal'): string[] {
    const text = JSON.stringify(proxyTo(target, { upstream: { tls } }))
    return parseGatewayFile(text, 'gateway.yaml', {}).problems.map(
      ({ where, problem }) => `${where.replace(/^.* upstreams\.app\./, '')}: ${problem.replace(/^"[^"]*" /, '')}`,
    )
  }

  it('may be complete, or the authority alone', () => {
    assert.deepEqual(problemsOf({ ca: authority.certFile, cert: one.certFile, key: one.keyFile }), [])
    assert.deepEqual(problemsOf({ ca: authority.certFile }), [])
  })

  const wrong: readonly (readonly [string, object, string])[] = [
    ['missing', { ca: '/no/such/file.pem' }, 'tls.ca: is not there'],
    ['of another kind', { ca: one.keyFile }, 'tls.ca: does not contain what is expected'],
    ['of a folder', { ca: '/' }, 'tls.ca: cannot be read (EISDIR)'],
    ['a key alone', { key: one.keyFile }, 'tls.key: has no "cert" beside it'],
    ['a certificate alone', { cert: one.certFile }, 'tls.cert: has no "key" beside it'],
    ['of two pairs', { cert: one.certFile, key: two.keyFile }, 'tls.key: is not the key of this certificate'],
    ['text', { ca: authority.cert }, 'tls.ca: is the content of a file, not its path'],
    ['for an address', { serverName: '10.0.0.1' }, 'tls.serverName: is an address'],
  ]
  for (const [what, tls, problem] of wrong) {
    it(`are reported before the gateway listens: ${what}`, () => {
      assert.deepEqual(
        problemsOf(tls).map(text => text.replace(/: "-----.*" is/s, ': is')),
        [problem],
      )
    })
  }

  it('have no effect if no target uses https', () => {
    assert.deepEqual(problemsOf({ ca: authority.certFile }, 'http://orders.internal'), [
      'tls: has no effect: no target uses https',
    ])
  })
})

describe('a connection to a target', () => {
  it('given by name is closed after its lifetime, to resolve it again; one to an address is kept', async () => {
    const upstream = await startRawUpstream(socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    for (const [host, isKept] of [
      ['127.0.0.1', true],
      ['localhost', false],
    ] as const) {
      const lifetime = { connectionLifetime: '50ms' }
      const pipeline = await startPipeline(proxyTo(`http://${host}:${upstream.port}`, { upstream: lifetime }))
      const before = upstream.accepted
      const started = performance.now()
      while (performance.now() - started < 400) assert.equal((await send(pipeline.port, '/app')).status, 200)
      const opened = upstream.accepted - before
      assert.ok(isKept ? opened === 1 : opened > 2, `${opened} connections to ${host}`)
      await pipeline.stop()
    }
    await upstream.stop()
  })
})
