import assert from 'node:assert/strict'
import { sampleValue } from '../support/exposition'
import { openHttp2, sendHttp2 } from '../support/http2-client'
import { FRAME, frame, openFrames } from '../support/http2-frames'
import { scrape } from '../support/ops-port'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('HTTP/2 telemetry', () => {
  let upstream: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    upstream = await startUpstream()
    const config = proxyTo(upstream.url, { entrypoint: { http2: { cleartext: true, maxControlFrames: 10 } } })
    gateway = await startGateway({ config: JSON.stringify(config) })
  })
  after(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  it('records the protocol version on the duration, separate from HTTP/1.1', async () => {
    const session = await openHttp2(gateway.url)
    for (let i = 0; i < 3; i++) assert.equal((await sendHttp2(session, { ':path': '/app' })).status, 200)
    session.destroy()
    await send(gateway.port, '/app')
    for (const [version, count] of [
      ['2', 3],
      ['1.1', 1],
    ] as const) {
      const labels = {
        http_request_method: 'GET',
        http_response_status_code: '200',
        http_route: '/app',
        network_protocol_version: version,
        url_scheme: 'http',
      }
      await until(
        async () =>
          sampleValue(await scrape(gateway.opsUrl), 'http_server_request_duration_seconds_count', labels) === count,
        { what: `${count} of version ${version}` },
      )
    }
  })

  it('counts connections that were closed because of what their client sent', async () => {
    const refused = async (cause: string): Promise<number | undefined> =>
      sampleValue(await scrape(gateway.opsUrl), 'gateway_http2_connections_refused_total', { error_type: cause })
    for (const cause of ['rapid_reset', 'control_flood', 'frame_flood', 'invalid_frames', 'protocol_error']) {
      assert.equal(await refused(cause), 0)
    }
    const flood = await openFrames(gateway.port)
    for (let i = 0; i < 20; i++) flood.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)))
    await flood.closed()
    await until(async () => (await refused('control_flood')) === 1, { what: 'the flood is counted' })
    const wrong = await openFrames(gateway.port)
    // DATA on an unopened stream (RFC 9113 §6.1).
    wrong.send(frame(FRAME.data, 0, 0, Buffer.from('a')))
    await wrong.closed()
    await until(async () => (await refused('protocol_error')) === 1, { what: 'the mistake is counted' })
  })
})
