import assert from 'node:assert/strict'
import { findReloads } from '../../../../src/incidents/evidence/reloads'
import { startUpstream } from '../../../support/start-upstream'

const NOW = Date.UTC(2026, 10, 30, 15, 0, 0)
const RANGE = { startMs: NOW - 60_000, endMs: NOW }

describe('what reloads of the gateways changed', () => {
  it('is told with its differences, once for replicas that changed alike, without those that do not answer', async () => {
    const changed = ['route "orders" changed: timeouts.response 10s → 5s', 'upstream "users" added']
    const reloads = (secondsAgo: number) => [
      { time: new Date(NOW - 900_000), isRefused: false, details: ['too early'] },
      { time: new Date(NOW - secondsAgo * 1_000), isRefused: false, details: changed },
    ]
    const answers = [
      { reloads: reloads(11) },
      {
        reloads: [
          ...reloads(10),
          { time: new Date(NOW - 5_000), isRefused: true, details: ['routes[0].upstream: unknown'] },
        ],
      },
      { nothing: 'of the kind' },
    ]
    const gateways = await Promise.all(
      answers.map(async answer => startUpstream((_request, response) => response.end(JSON.stringify(answer)))),
    )
    const replicas = new Map(gateways.map(({ url }, index) => [`g${index}`, { url, token: undefined }]))
    assert.deepEqual(await findReloads(replicas, RANGE, AbortSignal.timeout(5_000)), [
      { timeMs: NOW - 11_000, what: `2 gateways reloaded: ${changed.join('; ')}` },
      { timeMs: NOW - 5_000, what: 'g1 refused a new configuration: routes[0].upstream: unknown' },
    ])
    await Promise.all(gateways.map(async gateway => gateway.stop()))
  })
})
