import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { GatewayError } from '../../../src/errors/gateway-error'
import { Target } from '../../../src/upstream/target'

describe('a target that is closed', () => {
  it('closes the connections that were upgraded, too, and says whose doing it was', async () => {
    const settings = {
      upstreamName: 'app',
      origin: 'http://127.0.0.1:9',
      weight: 1,
      connectMs: 1_000,
      tls: undefined,
      maxConnections: 1,
      protocol: 'http1' as const,
      http2: { maxConnections: 4, maxStreams: 100 },
      maxHeaderBytes: 16_384,
      fairness: { reservePercent: 10, streamPercent: 50 },
      connectionLifetimeMs: 1_000,
      circuitBreaker: undefined,
      ejection: undefined,
      healthCheck: undefined,
    }
    const target = new Target(settings, false)
    const [gone, open] = [new Socket(), new Socket()]
    for (const socket of [gone, open]) {
      socket.on('error', () => undefined)
      target.adopt(socket)
    }
    gone.destroy()
    await target.close()
    assert.ok(open.destroyed)
    assert.ok(open.errored instanceof GatewayError)
    assert.equal(open.errored.reason, 'draining')
    assert.equal(gone.errored, null)
  })
})
