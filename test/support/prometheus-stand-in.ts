import { bodyOf, startUpstream } from './start-upstream'

export interface PrometheusStandIn {
  readonly url: string
  /** `hangs`: takes questions and never answers. */
  mode: 'answers' | 'hangs' | 'knows nothing'
  stop(): Promise<void>
}

/** As much of Prometheus' API as an incident page asks, with a curve that rises at `beganMs`. */
export async function startPrometheusStandIn(beganMs: number, replicaUrl: string): Promise<PrometheusStandIn> {
  const answer = (path: string, question: URLSearchParams): unknown => {
    if (path.endsWith('/query_exemplars')) return exemplars(beganMs)
    if (path.endsWith('/query_range')) return { result: [{ metric: {}, values: curve(question, beganMs) }] }
    if (path.startsWith('/api/v1/targets')) {
      return { activeTargets: [{ labels: { job: 'myesi-api' }, scrapeUrl: `${replicaUrl}/metrics` }] }
    }
    return { result: [{ metric: { instance: 'replica', url: replicaUrl }, value: [0, '1'] }] }
  }
  const server = await startUpstream((request, response) => {
    bodyOf(request).then(
      body => {
        if (standIn.mode === 'hangs') return
        const question = new URLSearchParams(body.toString())
        const data = standIn.mode === 'answers' ? answer(request.url ?? '', question) : { result: [] }
        response.end(JSON.stringify({ status: 'success', data }))
      },
      () => response.destroy(),
    )
  })
  const standIn: PrometheusStandIn = { url: server.url, mode: 'answers', stop: () => server.stop() }
  return standIn
}

function curve(question: URLSearchParams, beganMs: number): [number, string][] {
  const [start, end, step] = ['start', 'end', 'step'].map(name => Number(question.get(name)))
  const fails = question.get('query')?.includes('gateway_outcome="fault"') === true
  const points: [number, string][] = []
  for (let time = start ?? 0; time <= (end ?? 0); time += step ?? 1) {
    const since = time - beganMs / 1_000
    const value = fails ? Math.max(0, 5 * (1 - Math.exp(-since / 60))) : 8 + 2 * Math.sin(time / 40)
    points.push([time, value.toFixed(4)])
  }
  return points
}

function exemplars(beganMs: number): unknown {
  return [
    {
      seriesLabels: { instance: 'replica' },
      exemplars: Array.from({ length: 5 }, (_, index) => ({
        labels: { trace_id: `${index}`.repeat(32) },
        value: '0.0184',
        timestamp: beganMs / 1_000 + 60 + index * 25,
      })),
    },
  ]
}
