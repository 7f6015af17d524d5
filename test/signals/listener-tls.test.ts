import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
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
  let upstream: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    certificate = authority.issue('localhost')
    upstream = await startUpstream()
    const tls = { cert: certificate.certFile, key: certificate.keyFile }
    const config = JSON.stringify(proxyTo(upstream.url, { entrypoint: { tls, headersTimeout: '500ms' } }))
    gateway = await startGateway({ config, env: { OTEL_TRACES_SAMPLER: 'always_on' } })
  })
  after(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  it('exposes the expiry of the certificate', async () => {
    const expected = new X509Certificate(certificate.cert).validToDate.getTime() / 1_000
    assert.equal(sampleValue(await scrape(gateway.opsUrl), 'gateway_tls_certificate_not_after_seconds'), expected)
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
