import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { sendMany } from '../support/send-many'
import { startGateway } from '../support/start-gateway'
import { startUpstream } from '../support/start-upstream'

/**
 * Bytes on V8's heap per request, and the allowed band. They measure the work per request on any machine, even a busy one.
 * When a change takes a figure below its band, lower the figure.
 */
const OFF = 30_000
const FULL = 51_000
const LOWEST = 0.6
const HIGHEST = 1.25

const TELEMETRY_OFF = { OTEL_SDK_DISABLED: 'true' }
const COUNTER = resolve(__dirname, '../fixtures/count-allocations.js')
/** Optimised code avoids some allocations, and how soon code is optimised depends on how busy the machine is. */
const SAME_CODE_EVERYWHERE = ['--no-opt', '--no-maglev']
const WARM_UP_REQUESTS = 200
const REQUESTS = 1_000
const ANSWER = JSON.stringify({ id: 'ord_7h2k9', items: Array.from({ length: 8 }, (_, sku) => ({ sku, quantity: 1 })) })

async function bytesPerRequest(env: NodeJS.ProcessEnv): Promise<number> {
  const upstream = await startUpstream((request, response) => {
    request.resume()
    response.setHeader('content-type', 'application/json').end(ANSWER)
  })
  const gateway = await startGateway({
    config: `{ upstreams: { u: { targets: [${upstream.url}] } }, routes: [{ name: r, match: { path: /r }, upstream: u }] }`,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: upstream.url, ...env },
    nodeArgs: [...SAME_CODE_EVERYWHERE, '--require', COUNTER],
  })
  const send = async (count: number): Promise<void> => {
    const statuses = await sendMany(gateway.url, count, () => ({
      path: '/r',
      headers: { accept: 'application/json', 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101' },
    }))
    assert.deepEqual([...statuses], [[200, count]])
  }
  await send(WARM_UP_REQUESTS)
  gateway.process.signal('SIGUSR2')
  await gateway.process.waitForLog('"counting"', entry => entry['event'] === 'counting')
  await send(REQUESTS)
  gateway.process.signal('SIGUSR2')
  const { bytes } = await gateway.process.waitForLog('"counted"', entry => entry['event'] === 'counted')
  await gateway.stop()
  return Number(bytes) / REQUESTS
}

function assertInBand(bytes: number, stated: number): void {
  const [low, high] = [stated * LOWEST, stated * HIGHEST]
  assert.ok(bytes > low && bytes < high, `${Math.round(bytes)} bytes per request, not ${low} to ${high}`)
}

describe('what a request allocates', function () {
  this.timeout(60_000)
  this.slow(15_000)

  it('stays within its band with telemetry off', async () => {
    assertInBand(await bytesPerRequest(TELEMETRY_OFF), OFF)
  })

  it('stays within its band with full telemetry, every trace exported', async () => {
    assertInBand(await bytesPerRequest({}), FULL)
  })

  it('exceeds its band when a request allocates twice as much', async () => {
    const doubled = await bytesPerRequest({ ...TELEMETRY_OFF, ALLOCATE_BYTES: String(OFF) })
    assert.throws(() => assertInBand(doubled, OFF), /bytes per request/)
    assertInBand(doubled - OFF, OFF)
  })
})
