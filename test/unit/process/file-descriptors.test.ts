import assert from 'node:assert/strict'
import { boundConnections } from '../../../src/process/file-descriptors'
import { configOf, proxyTo } from '../../support/start-pipeline'

describe('client connections, where the process may not open many', () => {
  const config = configOf(proxyTo('http://127.0.0.1:1', { entrypoint: { maxConnections: 1_000 } }))
  const bound = (limit: number): number => boundConnections(config, { limit, inUse: 30 }).maxConnections

  it('are as many as the file asks for where they fit, or where there is no limit', () => {
    for (const limit of [30 + 16 + 128 + 1_000, Number.POSITIVE_INFINITY]) {
      assert.deepEqual(boundConnections(config, { limit, inUse: 30 }), {
        maxConnections: 1_000,
        maxConnectionsPerClient: 900,
        shortage: undefined,
      })
    }
    assert.equal(boundConnections(config, undefined).maxConnections, 1_000)
  })

  it('leave some for other clients when one takes all that it may', () => {
    for (const limit of [1_046, 146, 64]) {
      const { maxConnections, maxConnectionsPerClient } = boundConnections(config, { limit, inUse: 30 })
      assert.equal(maxConnectionsPerClient, Math.ceil(maxConnections * 0.9))
    }
    const few = configOf(proxyTo('http://127.0.0.1:1', { entrypoint: { maxConnectionsPerClient: 20 } }))
    assert.equal(boundConnections(few, { limit: 1_046, inUse: 30 }).maxConnectionsPerClient, 20)
  })

  it('leave room for the connections to upstreams, half of what there is at most', () => {
    assert.equal(bound(1_046), 1_000 - 128)
    assert.equal(bound(146), 50)
    assert.equal(bound(64), 9)
    assert.equal(bound(10), 1)
  })
})
