import type { Labels } from '../alerts/alert'
import type { PrometheusClient } from './prometheus'

/** A place where a trace may still be. */
export interface TraceSource {
  readonly name: string
  /** OTLP/JSON of the trace, or undefined when it is not there. */
  fetch(traceId: string, signal: AbortSignal): Promise<unknown>
}

/** The recorder of one gateway replica, on its ops port. */
export function gatewayReplica(opsUrl: string, token: string | undefined): TraceSource {
  const base = opsUrl.replace(/\/$/, '')
  return {
    name: base,
    fetch: (traceId, signal) => fetchJson(`${base}/traces/${traceId}`, signal, opsHeaders(token)),
  }
}

/** What a request to an ops port carries. */
export function opsHeaders(token: string | undefined): Record<string, string> {
  return { accept: 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) }
}

/** Jaeger's API v3, which speaks OTLP inside `result`. */
export function jaeger(url: string): TraceSource {
  const base = url.replace(/\/$/, '')
  return {
    name: base,
    async fetch(traceId, signal) {
      const answer = (await fetchJson(`${base}/api/v3/traces/${traceId}`, signal)) as { result?: unknown } | undefined
      return answer?.result
    },
  }
}

/** Tempo's API v2. */
export function tempo(url: string): TraceSource {
  const base = url.replace(/\/$/, '')
  return {
    name: base,
    async fetch(traceId, signal) {
      const answer = (await fetchJson(`${base}/api/v2/traces/${traceId}`, signal, { accept: 'application/json' })) as
        { trace?: unknown } | undefined
      return answer?.trace
    },
  }
}

/** Every replica's ops port by its `instance`, as the replicas themselves say through `gateway_ops_info`. */
export async function findReplicas(
  prometheus: Pick<PrometheusClient, 'query'>,
  { timeMs, signal }: { readonly timeMs: number; readonly signal: AbortSignal },
): Promise<ReadonlyMap<string, string>> {
  const samples = await prometheus.query(
    'max by (instance, url) (max_over_time(gateway_ops_info[15m]))',
    timeMs,
    signal,
  )
  const replicas = new Map<string, string>()
  for (const { labels } of samples) {
    const { instance, url } = labels as Labels & { instance?: string; url?: string }
    if (instance !== undefined && url !== undefined && isHttpUrl(url)) replicas.set(instance, url)
  }
  return replicas
}

function isHttpUrl(url: string): boolean {
  return URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol)
}

/** An answer larger than this is not a trace of one request. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024

export async function fetchJson(
  url: string,
  signal: AbortSignal,
  headers: Record<string, string> = {},
): Promise<unknown> {
  const response = await fetch(url, { headers, signal, redirect: 'error' })
  if (response.status === 404) {
    await response.body?.cancel()
    return undefined
  }
  if (!response.ok) {
    await response.body?.cancel()
    throw new Error(`${url} answered ${response.status}`)
  }
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`${url} answered more than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return JSON.parse(Buffer.concat(chunks).toString()) as unknown
}
