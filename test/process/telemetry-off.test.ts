import assert from 'node:assert/strict'
import { startGateway } from '../support/start-gateway'
import { startUpstream } from '../support/start-upstream'

describe('the gateway with OTEL_SDK_DISABLED=true', () => {
  it('serves requests, and logs each one without a trace', async () => {
    const upstream = await startUpstream((_request, response) => response.end('served'))
    const gateway = await startGateway({
      config: `{ upstreams: { u: { targets: [${upstream.url}] } }, routes: [{ name: r, match: { path: /r }, upstream: u }] }`,
      env: { OTEL_SDK_DISABLED: 'true' },
    })
    assert.equal(await (await fetch(`${gateway.url}/r`)).text(), 'served')
    const line = await gateway.process.waitForLog('"request"', entry => entry['event'] === 'request')
    assert.equal(line['status'], 200)
    assert.equal('trace_id' in line, false)
    assert.equal(await (await fetch(`${gateway.opsUrl}/metrics`)).text(), 'telemetry is off\n')
  })
})
