import assert from 'node:assert/strict'
import type { Pool } from 'undici'
import { parseGatewayFile } from '../../../src/config/gateway-file'
import type { GatewayConfig } from '../../../src/config/gateway-config'
import { createSnapshot, resourcesOnlyIn, type Snapshot, type SnapshotOptions } from '../../../src/runtime/snapshot'
import { recordedLog } from '../../support/start-pipeline'

const [A, B, C] = ['http://127.0.0.1:9', 'http://127.0.0.2:9', 'http://127.0.0.3:9'] as const

function configOf(targets: readonly string[], upstream: object = {}): GatewayConfig {
  const upstreams = { app: { targets, ...upstream } }
  const routes = [{ name: 'app', match: { path: '/app' }, upstream: 'app' }]
  return parseGatewayFile(JSON.stringify({ upstreams, routes }), 'gateway.yaml', {}).config!
}

describe('what a file makes', () => {
  const made: Snapshot[] = []
  const { log } = recordedLog()

  afterEach(async () => {
    for (const { resources } of made.splice(0))
      await Promise.all([...resources.values()].map(async resource => resource.close()))
  })

  function serve(config: GatewayConfig, previous?: Snapshot, changed: Partial<SnapshotOptions> = {}): Snapshot {
    const stagesOf: SnapshotOptions['stagesOf'] = () => ({ stages: [], preflight: undefined, limiters: [] })
    const snapshot = createSnapshot({ config, previous, log, stagesOf, ...changed })
    made.push(snapshot)
    return snapshot
  }
  const targetsOf = ({ upstreams }: Snapshot): Snapshot['upstreams'][0]['targets'] => upstreams[0]!.targets

  it('shares the targets that stay with what the next one makes, and a route holds on to those it uses', () => {
    const first = serve(configOf([A, B]))
    const second = serve(configOf([B, C]), first)
    assert.equal(targetsOf(second)[0], targetsOf(first)[1])
    assert.deepEqual(resourcesOnlyIn(first, second), [targetsOf(first)[0], first.upstreams[0]])
    assert.deepEqual([...first.routes[0]!.resources], [first.upstreams[0], ...targetsOf(first)])
  })

  const OTHER = {
    timeouts: { connect: '7s' },
    maxConnections: 7,
    connectionLifetime: '7m',
    circuitBreaker: { failures: 7 },
    ejection: { failures: 7 },
    maxHeaderSize: '7KiB',
    healthCheck: { path: '/healthz' },
    targets: [
      { url: A, weight: 7 },
      { url: B, weight: 7 },
    ],
  }
  for (const [key, value] of Object.entries(OTHER)) {
    it(`makes targets anew where ${key} is different`, () => {
      const first = serve(configOf([A, B]))
      const second = serve(configOf([A, B], { [key]: value }), first)
      for (const target of targetsOf(second)) assert.ok(!targetsOf(first).includes(target))
    })
  }

  it('is closed when the rest cannot be made, but for what the one before has too', () => {
    const first = serve(configOf([A, B]))
    const [shared] = targetsOf(first)
    let joined: Snapshot['upstreams'][0] | undefined
    const stagesOf: SnapshotOptions['stagesOf'] = (_route, { upstream }) => {
      joined = upstream
      throw new Error('cannot be made')
    }
    assert.throws(() => serve(configOf([A, C]), first, { stagesOf }), /cannot be made/)
    assert.equal(joined!.targets[0], shared)
    assert.deepEqual(
      [shared, joined!.targets[1]].map(target => (target!.pool as Pool).destroyed),
      [false, true],
    )
    assert.equal(shared!.followers.size, 1)
  })
})
