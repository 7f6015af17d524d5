import { startUpstream, type RunningUpstream } from './start-upstream'

const SERVER = 2

/**
 * A stand-in of Jaeger that has the traces of a gateway, and for each call the span of the upstream that answered it: a
 * child of the span that `traceparent` named.
 *
 * @param versionOf `service.version` of each upstream
 */
export async function startTraceBackend(
  opsUrl: () => string,
  versionOf: ReadonlyMap<RunningUpstream, string>,
): Promise<RunningUpstream> {
  return startUpstream((request, response) => {
    const traceId = request.url?.split('/').at(-1) ?? ''
    const ofUpstreams = [...versionOf].flatMap(([{ requests }, version]) =>
      requests.flatMap(({ headers }) => {
        const [, id, parentSpanId = ''] = String(headers['traceparent']).split('-')
        return id === traceId ? [upstreamSpan(version, parentSpanId)] : []
      }),
    )
    void gatewaySpans(opsUrl(), traceId).then(spans => {
      response.end(JSON.stringify({ result: { resourceSpans: [...spans, ...ofUpstreams] } }))
    })
  })
}

async function gatewaySpans(opsUrl: string, traceId: string): Promise<object[]> {
  const answer = await fetch(`${opsUrl}/traces/${traceId}`, { headers: { accept: 'application/json' } })
  const { resourceSpans = [] } = (await answer.json()) as { resourceSpans?: object[] }
  return resourceSpans
}

function upstreamSpan(version: string, parentSpanId: string): object {
  const attribute = (key: string, value: string): object => ({ key, value: { stringValue: value } })
  return {
    resource: { attributes: [attribute('service.name', 'orders'), attribute('service.version', version)] },
    scopeSpans: [{ spans: [{ spanId: 'f'.repeat(16), parentSpanId, kind: SERVER }] }],
  }
}
