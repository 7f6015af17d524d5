import assert from 'node:assert/strict'
import type { SampleGroup } from '../../src/observe/samples/request-samples'
import { findReleases } from '../../src/incidents/evidence/comparison/find-releases'
import { jaeger } from '../../src/incidents/evidence/trace-sources'
import { listTraces } from '../support/ops-port'
import { sendMany } from '../support/send-many'
import { startGateway } from '../support/start-gateway'
import { startUpstream } from '../support/start-upstream'
import { startTraceBackend } from '../support/trace-backend'
import { until } from '../support/until'

const VERSIONS = ['1.4.1', '1.4.2']
const REQUESTS = 8

describe('the releases of the targets of a running gateway', () => {
  it('are found by its samples, its traces, and the spans that upstreams send to a trace backend', async () => {
    const upstreams = await Promise.all(VERSIONS.map(async () => startUpstream()))
    const gateway = await startGateway({
      config: JSON.stringify({
        upstreams: { orders: { targets: upstreams.map(({ url }) => url) } },
        routes: [{ name: 'orders', match: { path: '/orders' }, upstream: 'orders' }],
      }),
    })
    await sendMany(gateway.url, REQUESTS, () => ({ path: '/orders' }))
    await until(async () => (await listTraces(gateway.opsUrl)).length === REQUESTS, { what: 'every trace is kept' })

    const backend = await startTraceBackend(
      () => gateway.opsUrl,
      new Map(upstreams.map((upstream, index) => [upstream, VERSIONS[index] ?? ''])),
    )
    const answer = await fetch(`${gateway.opsUrl}/samples`, { headers: { accept: 'application/json' } })
    const { groups } = (await answer.json()) as { groups: SampleGroup[] }
    const requests = groups.flatMap(({ samples }) =>
      samples.map(({ traceId = '', target = '', upstream = '', timeMs }) => {
        return { traceId, target, upstream, timeMs, side: 'good' as const }
      }),
    )
    assert.equal(requests.length, REQUESTS)
    const found = await findReleases(requests, [jaeger(backend.url)], {
      onsetMs: 0,
      signal: AbortSignal.timeout(5_000),
    })
    assert.deepEqual(
      new Set(found.map(({ target, version }) => `${target} ${version}`)),
      new Set(upstreams.map(({ url }, index) => `${url.replace('http://', '')} ${VERSIONS[index]}`)),
    )
    await gateway.stop()
    await Promise.all([...upstreams, backend].map(async upstream => upstream.stop()))
  })
})
