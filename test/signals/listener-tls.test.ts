import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { connect } from 'node:tls'
import { createAuthority, type Certificate } from '../support/certificates'
import { sampleValue } from '../support/exposition'
import { openTrace, scrape } from '../support/ops-port'
import { openRaw, rawExchange } from '../support/raw-http'
import { answerOf, responseTo } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('telemetry of TLS on the listener', () => {
  const authority = createAuthority('Test Authority')
  let certificate: Certificate
  let second: Certificate
  let ofGateway: Certificate
  let upstream: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    certificate = authority.issue('localhost')
    upstream = await startUpstream()
    second = authority.issue('other.example')
    ofGateway = authority.issue('gateway')
    const tls = {
      cert: certificate.certFile,
      key: certificate.keyFile,
      certificates: [{ cert: second.certFile, key: second.keyFile }],
      unknownNames: 'refuse',
      clientCertificates: { ca: authority.certFile, required: false },
    }
    const files = { ca: authority.certFile, cert: ofGateway.certFile, key: ofGateway.keyFile }
    const targets = [upstream.url, 'https://127.0.0.1:1'] // the second makes `tls` useful and is ejected
    const config = JSON.stringify(
      proxyTo(upstream.url, { upstream: { targets, tls: files }, entrypoint: { tls, headersTimeout: '500ms' } }),
    )
    gateway = await startGateway({ config, env: { OTEL_TRACES_SAMPLER: 'always_on' } })
  })
  after(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  it('exposes the expiry of every certificate, and whether the one in its file is in use', async () => {
    const families = await scrape(gateway.opsUrl)
    for (const [role, { cert, certFile }, upstream = ''] of [
      ['listener', certificate],
      ['listener', second],
      ['client_ca', authority],
      ['upstream', ofGateway, 'app'],
      ['upstream_ca', authority, 'app'],
    ] as const) {
      const labels = {
        gateway_tls_certificate_role: role,
        gateway_tls_certificate_file: certFile,
        ...(upstream !== '' && { gateway_upstream_name: upstream }),
      }
      const expected = new X509Certificate(cert).validToDate.getTime() / 1_000
      assert.equal(sampleValue(families, 'gateway_tls_certificate_not_after_seconds', labels), expected, role)
      assert.equal(sampleValue(families, 'gateway_tls_certificate_renewal_successful', labels), 1, role)
    }
  })

  it('counts renewals, and shows a refused one until it is replaced', async () => {
    const { certFile, keyFile } = second
    const count = async (result: string): Promise<number | undefined> =>
      sampleValue(await scrape(gateway.opsUrl), 'gateway_tls_certificate_renewals_total', {
        gateway_tls_certificate_role: 'listener',
        gateway_tls_certificate_result: result,
      })
    const isSuccessful = async (): Promise<number | undefined> =>
      sampleValue(await scrape(gateway.opsUrl), 'gateway_tls_certificate_renewal_successful', {
        gateway_tls_certificate_file: certFile,
      })
    assert.deepEqual([await count('success'), await count('refused')], [0, 0])
    writeFileSync(certFile, 'not a certificate')
    await until(async () => (await count('refused')) === 1 && (await isSuccessful()) === 0, { what: 'it is refused' })
    const renewed = authority.issue('other.example')
    copyFileSync(renewed.keyFile, keyFile)
    copyFileSync(renewed.certFile, certFile)
    await until(async () => (await count('success')) === 1 && (await isSuccessful()) === 1, { what: 'it is renewed' })
  })

  it('records the scheme of requests, on metrics and spans', async () => {
    const { port } = gateway
    const sent = request({ host: '127.0.0.1', port, path: '/app', ca: authority.cert, servername: 'localhost' })
    sent.end()
    assert.equal((await answerOf(await responseTo(sent))).status, 200)
    const https = { url_scheme: 'https', http_route: '/app' }
    const families = await until(
      async () => {
        const now = await scrape(gateway.opsUrl)
        return sampleValue(now, 'http_server_request_duration_seconds_count', https) === 1 && now
      },
      { what: 'the request is counted' },
    )
    assert.equal(sampleValue(families, 'http_server_active_requests', { url_scheme: 'https' }), 0)
    const [, traceId] = String(upstream.requests.at(-1)?.headers['traceparent']).split('-')
    const spans = await until(() => openTrace(gateway.opsUrl, traceId!), { what: 'the trace' })
    assert.equal(spans.find(({ kind }) => kind === 2)?.attributes['url.scheme'], 'https')
  })

  const failures = async (type: string): Promise<number> => {
    const labels = { error_type: type }
    return sampleValue(await scrape(gateway.opsUrl), 'gateway_tls_handshake_failures_total', labels) ?? NaN
  }

  async function fail(options: object): Promise<void> {
    const socket = connect({ host: '127.0.0.1', port: gateway.port, servername: 'localhost', ...options })
    await once(socket, 'error')
  }

  /** Connects with a client certificate until the gateway closes the connection. */
  async function refuse({ cert, key }: Certificate): Promise<void> {
    const address = { host: '127.0.0.1', port: gateway.port, servername: 'localhost' }
    const socket = connect({ ...address, ca: authority.cert, cert, key }).on('error', () => {})
    await new Promise(resolve => socket.once('close', resolve).resume())
  }

  /** Sends a fatal alert (RFC 8446 §6), unknown_ca, as clients do that verify in the handshake. Node verifies later. */
  async function rejectCertificate(): Promise<void> {
    const listener = createServer().listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const hello = connect({ host: '127.0.0.1', port: (listener.address() as AddressInfo).port, maxVersion: 'TLSv1.2' })
    hello.on('error', () => undefined)
    const [seen] = (await once(listener, 'connection')) as [Socket]
    const [clientHello] = (await once(seen, 'data')) as [Buffer]
    hello.destroy()
    listener.close()
    const client = await openRaw(gateway.port)
    client.send(clientHello)
    await client.waitFor(/./s)
    client.send(Buffer.from('15030300020230', 'hex'))
    await client.closed()
  }

  const FAILURES: Readonly<Record<string, () => Promise<unknown>>> = {
    plain_http: () => rawExchange(gateway.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
    timeout: () => rawExchange(gateway.port, ''),
    no_common_version: () =>
      fail({ ca: authority.cert, maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }),
    rejected_by_client: rejectCertificate,
    unknown_name: () => fail({ ca: authority.cert, servername: 'unknown.example' }),
    client_certificate_untrusted: () => refuse(createAuthority('Strangers').issueClient({ commonName: 'a' })),
    client_certificate_expired: () => refuse(authority.issueClient({ commonName: 'a', validForMs: -86_400_000 })),
    _OTHER: () => rawExchange(gateway.port, 'no handshake at all, and no request either'),
  }
  for (const [type, attempt] of Object.entries(FAILURES)) {
    it(`counts failed handshakes as ${type}`, async () => {
      const before = await failures(type)
      await attempt()
      await until(async () => (await failures(type)) === before + 1, { what: 'it is counted' })
    })
  }
})
