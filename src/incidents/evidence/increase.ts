import type { Evidence } from './evidence'
import type { PrometheusClient, Sample } from './prometheus'

/**
 * The growth of counters. increase() is not used: it extrapolates to the window's edges and would report 41.3 of 40
 * requests.
 */
export async function increaseOf(
  sum: string,
  { startMs, endMs }: Evidence['window'],
  prometheus: Pick<PrometheusClient, 'query'>,
  signal: AbortSignal,
): Promise<Sample[]> {
  const [atEnd, atStart] = await Promise.all([
    prometheus.query(sum, endMs, signal),
    prometheus.query(sum, startMs, signal),
  ])
  const before = new Map(atStart.map(({ labels, value }) => [JSON.stringify(labels), value]))
  return atEnd.map(({ labels, value }) => {
    const start = before.get(JSON.stringify(labels)) ?? 0
    return { labels, value: value >= start ? value - start : value } // smaller: the counter was reset by a restart
  })
}
