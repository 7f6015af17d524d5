import assert from 'node:assert/strict'
import type { SampleGroup } from '../../src/observe/samples/request-samples'
import { findReleases } from '../../src/incidents/evidence/comparison/find-releases'
import { jaeger } from '../../src/incidents/evidence/trace-sources'
import { listTraces } from '../support/ops-port'
import { sendMany } from '../support/send-many'
import { startGateway } from '../support/start-gateway'
import { startUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const VERSIONS = ['1.4.1', '1.4.2']
const REQUESTS = 8
const SERVER = 2

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

    // Has the spans of the gateway, and for each call one of the upstream, whose parent is the one in `traceparent`.
    const backend = await startUpstream((request, response) => {
      const traceId = request.url?.split('/').at(-1) ?? ''
      const ofUpstreams = upstreams.flatMap(({ requests }, index) =>
        requests.flatMap(({ headers }) => {
          const [, id, parentSpanId] = String(headers['traceparent']).split('-')
          return id === traceId ? [upstreamSpan(VERSIONS[index] ?? '', parentSpanId ?? '')] : []
        }),
      )
      void ownTrace(gateway.opsUrl, traceId).then(({ resourceSpans }) => {
        response.end(JSON.stringify({ result: { resourceSpans: [...resourceSpans, ...ofUpstreams] } }))
      })
    })
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

async function ownTrace(opsUrl: string, traceId: string): Promise<{ resourceSpans: object[] }> {
  const answer = await fetch(`${opsUrl}/traces/${traceId}`, { headers: { accept: 'application/json' } })
  return (await answer.json()) as { resourceSpans: object[] }
}

function upstreamSpan(version: string, parentSpanId: string): object {
  const attribute = (key: string, value: string): object => ({ key, value: { stringValue: value } })
  return {
    resource: { attributes: [attribute('service.name', 'orders'), attribute('service.version', version)] },
    scopeSpans: [{ spans: [{ spanId: 'f'.repeat(16), parentSpanId, kind: SERVER }] }],
  }
}
