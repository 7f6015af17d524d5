import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { Pool } from 'undici'
import { GatewayError } from '../../../src/errors/gateway-error'
import { Target } from '../../../src/upstream/target'

describe('a target that is closed', () => {
  it('closes the connections that were upgraded, too, and says whose doing it was', async () => {
    const origin = 'http://127.0.0.1:9'
    const target = new Target({
      upstreamName: 'app',
      config: { origin, weight: 1 },
      pool: new Pool(origin),
      maxWaitingCalls: 1,
      connect: () => undefined,
      circuitBreaker: undefined,
      healthCheck: undefined,
      onCircuit: () => undefined,
      onCheck: () => undefined,
      onHealth: () => undefined,
    })
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
