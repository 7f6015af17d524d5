import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { parseGatewayFile } from '../../src/config/gateway-file'
import { createAuthority, type Authority, type Certificate } from '../support/certificates'
import { openHttp2, sendHttp2 } from '../support/http2-client'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

describe('certificates chosen by server name', () => {
  let authority: Authority
  let shop: Certificate
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    authority = createAuthority('Test Authority')
    shop = authority.issue('shop.example', 'www.shop.example')
    upstream = await startUpstream()
  })
  afterEach(async () => {
    await pipeline.stop()
  })
  after(async () => {
    await upstream.stop()
  })

  const pair = ({ certFile, keyFile }: Certificate): { cert: string; key: string } => ({ cert: certFile, key: keyFile })

  async function start(others: readonly Certificate[], tls: object = {}): Promise<void> {
    const config = { ...pair(shop), certificates: others.map(pair), ...tls }
    pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint: { tls: config } }))
  }

  async function open(servername: string, options: object = {}): Promise<TLSSocket> {
    const address = { host: '127.0.0.1', port: pipeline.port }
    const socket = connect({
      ...address,
      servername,
      ca: authority.cert,
      checkServerIdentity: () => undefined,
      ...options,
    })
    await once(socket, 'secureConnect')
    return socket
  }

  async function shownFor(servername: string): Promise<string> {
    const socket = await open(servername)
    const { CN } = socket.getPeerCertificate().subject
    socket.destroy()
    return String(CN)
  }

  it('takes an exact name before a wildcard, and a wildcard for one label', async () => {
    await start([authority.issue('*.api.example'), authority.issue('v2.api.example')])
    assert.equal(await shownFor('shop.example'), 'shop.example')
    assert.equal(await shownFor('www.shop.example'), 'shop.example')
    assert.equal(await shownFor('v1.api.example'), '*.api.example')
    assert.equal(await shownFor('V2.API.example'), 'v2.api.example')
    // Neither the parent nor two labels are covered by the wildcard.
    assert.equal(await shownFor('api.example'), 'shop.example')
    assert.equal(await shownFor('a.v1.api.example'), 'shop.example')
  })

  it('gives the default certificate to a client that names no server or an unknown one', async () => {
    await start([authority.issue('api.example')])
    assert.equal(await shownFor(''), 'shop.example')
    assert.equal(await shownFor('elsewhere.example'), 'shop.example')
  })

  it('ends the handshake for an unknown name if the file says so, and logs it', async () => {
    await start([authority.issue('api.example')], { unknownNames: 'refuse' })
    await assert.rejects(open('elsewhere.example'))
    await until(() => pipeline.logs.some(line => line['type'] === 'unknown_name'), { what: 'it is logged' })
    assert.equal(await shownFor('api.example'), 'api.example')
    assert.equal(await shownFor(''), 'shop.example')
  })

  it('serves HTTP/2 with each certificate', async () => {
    await start([authority.issue('api.example')])
    for (const servername of ['shop.example', 'api.example']) {
      const session = await openHttp2(`https://127.0.0.1:${pipeline.port}`, { ca: authority.cert, servername })
      assert.equal((await sendHttp2(session, { ':path': '/app', ':authority': servername })).status, 200)
      session.destroy()
    }
  })

  it('uses a renewed certificate, with its new names, and resumes sessions', async () => {
    const folder = temporaryFolder()
    const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') }
    const install = (certificate: Certificate): void => {
      copyFileSync(certificate.keyFile, files.keyFile)
      copyFileSync(certificate.certFile, files.certFile)
    }
    install(authority.issue('old.example'))
    await start([{ ...shop, ...files }])
    const first = await open('old.example', { maxVersion: 'TLSv1.2' })
    const session = first.getSession()
    first.destroy()
    const second = await open('old.example', { maxVersion: 'TLSv1.2', session })
    assert.equal(second.isSessionReused(), true)
    second.destroy()
    install(authority.issue('new.example'))
    await until(async () => (await shownFor('new.example')) === 'new.example', { what: 'the renewed certificate' })
    assert.equal(await shownFor('old.example'), 'shop.example')
  })

  it('accepts CBC for TLS 1.2 in the profile intermediate only', async () => {
    const old = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0' }
    await start([])
    await assert.rejects(open('shop.example', old))
    await pipeline.stop()
    await start([], { profile: 'intermediate' })
    const socket = await open('shop.example', old)
    assert.equal(socket.getCipher().standardName, 'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA')
    socket.destroy()
  })
})

describe('entrypoint.tls.certificates in gateway.yaml', () => {
  const authority = createAuthority('Test Authority')
  const { certFile: cert, keyFile: key } = authority.issue('a.example')
  const other = authority.issue('b.example')

  function problemsWith(tls: object): string[] {
    const file = { ...proxyTo('http://127.0.0.1:1'), entrypoint: { tls: { cert, key, ...tls } } }
    const { problems } = parseGatewayFile(JSON.stringify(file), 'gateway.yaml', {})
    return problems.map(({ where, problem, allowed }) => `${where.replace(/:\d+:\d+/, '')} ${problem} (${allowed})`)
  }

  for (const [what, tls, expected] of [
    [
      'a key of another certificate',
      { certificates: [{ cert: other.certFile, key }] },
      /tls\.certificates\[0\]\.key .*is not the key/,
    ],
    ['the same certificate twice', { certificates: [{ cert, key }] }, /tls\.certificates\[0\]\.cert .*appears twice/],
    ['an unknown profile', { profile: 'old' }, /tls\.profile .*\(modern, intermediate\)/],
    ['an unknown choice', { unknownNames: 'close' }, /tls\.unknownNames .*\(default, refuse\)/],
    ['a missing authority', { clientCertificates: { ca: '/none.pem' } }, /tls\.clientCertificates\.ca .*is not there/],
    ['an unknown subject', { clientCertificates: { ca: cert, subject: 'o' } }, /subject .*\(cn, dn, uri, dns, email\)/],
  ] as const) {
    it(`reports ${what}`, () => {
      const problems = problemsWith(tls)
      assert.equal(problems.length, 1, problems.join('\n'))
      assert.match(problems[0]!, expected)
    })
  }

  it('reports certificates that nothing asks clients for', () => {
    const file = {
      entrypoint: { access: { certificates: ['a'] } },
      consumers: { a: { certificates: ['a'] } },
      ...proxyTo('http://127.0.0.1:1', {
        route: {
          auth: { certificate: true },
          access: { certificates: ['a'] },
          rateLimit: { limit: 1, window: '1s', key: 'certificate' },
        },
      }),
    }
    const { problems } = parseGatewayFile(JSON.stringify(file), 'gateway.yaml', {})
    assert.equal(problems.length, 5, problems.map(({ where }) => where).join('\n'))
    for (const { problem } of problems) assert.match(problem, /clients are not asked for certificates/)
  })
})
