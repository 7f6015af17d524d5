import type { Labels } from '../alerts/alert'
import { hostAndPort, quoted, type PrometheusClient } from './prometheus'
import { SharedAnswers, type Sized } from './shared-answers'

/** A place where a trace may still be. */
export interface TraceSource {
  readonly name: string
  /** OTLP/JSON of the trace, or undefined when it is not there. */
  fetch(traceId: string, signal: AbortSignal): Promise<unknown>
}

/** One replica of the gateway. */
export interface Replica {
  /** Of its ops port, without a slash at the end. */
  readonly url: string
  /** `OPS_TOKEN`, where the replica may have it. */
  readonly token: string | undefined
}

/** The recorder of one gateway replica, on its ops port. */
export function gatewayReplica({ url, token }: Replica): TraceSource {
  return {
    name: url,
    fetch: (traceId, signal) => fetchJson(`${url}/traces/${traceId}`, signal, opsHeaders(token)),
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

/** Which replicas are asked, and which of them get the token. */
export interface ReplicaOptions {
  readonly prometheus: Pick<PrometheusClient, 'query' | 'targets'>
  /** The job under which Prometheus scrapes the gateways. */
  readonly gatewayJob: string
  readonly opsToken: string | undefined
  /** Hosts, with or without port, that get the token beside those that Prometheus scrapes for the job. */
  readonly opsTokenHosts: readonly string[]
}

interface Moment {
  readonly timeMs: number
  readonly signal: AbortSignal
}

/**
 * Finds every replica by its `instance`, and which of them may have the token: those at hosts that Prometheus itself scrapes
 * for the gateway's job, or that a setting names. Any other program could name an address of its own to collect the token;
 * with `honor_labels` its series can even choose their job.
 */
export async function findReplicas(
  { prometheus, gatewayJob, opsToken, opsTokenHosts }: ReplicaOptions,
  moment: Moment,
): Promise<ReadonlyMap<string, Replica>> {
  const [urls, scraped] = await Promise.all([
    findReplicaUrls(prometheus, gatewayJob, moment),
    opsToken === undefined ? NO_TARGETS : prometheus.targets(gatewayJob, moment.signal).catch(() => NO_TARGETS),
  ])
  const tokenFor = (url: string): string | undefined => {
    const host = hostAndPort(url) ?? ''
    const isAllowed = scraped.has(host) || opsTokenHosts.includes(host) || opsTokenHosts.includes(withoutPort(host))
    return isAllowed ? opsToken : undefined
  }
  return new Map([...urls].map(([instance, url]) => [instance, { url, token: tokenFor(url) }]))
}

/** The ops port of every replica by its `instance`, as the replicas themselves say through `gateway_ops_info`. */
export async function findReplicaUrls(
  prometheus: Pick<PrometheusClient, 'query'>,
  gatewayJob: string,
  { timeMs, signal }: Moment,
): Promise<ReadonlyMap<string, string>> {
  const info = `gateway_ops_info{job=${quoted(gatewayJob)}}`
  const samples = await prometheus.query(`max by (instance, url) (max_over_time(${info}[15m]))`, timeMs, signal)
  const urls = new Map<string, string>()
  for (const { labels } of samples) {
    const { instance, url } = labels as Labels & { instance?: string; url?: string }
    if (instance === undefined || url === undefined || hostAndPort(url) === undefined) continue
    urls.set(instance, url.replace(/\/$/, ''))
  }
  return urls
}

/** What an API that only resembles Prometheus lists. */
const NO_TARGETS: ReadonlySet<string> = new Set()

function withoutPort(host: string): string {
  return host.slice(0, host.lastIndexOf(':'))
}

/** An answer larger than this is not a trace of one request. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024

export async function fetchJson(
  url: string,
  signal: AbortSignal,
  headers: Record<string, string> = {},
): Promise<unknown> {
  return answers.get(url, signal, async () => askJson(url, headers))
}

/** Of this process: alerts of one cause are proven by the same traces. */
const answers = new SharedAnswers()

/** A question that takes longer is given up, also where others still wait for its answer. */
const ASK_TIMEOUT_MS = 5_000

async function askJson(url: string, headers: Record<string, string>): Promise<Sized<unknown>> {
  const signal = AbortSignal.timeout(ASK_TIMEOUT_MS)
  const response = await fetch(url, { headers, signal, redirect: 'error' })
  if (response.status === 404) {
    await response.body?.cancel()
    return { answer: undefined, bytes: 0 }
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
  return { answer: JSON.parse(Buffer.concat(chunks).toString()) as unknown, bytes }
}
