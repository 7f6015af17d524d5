import type { Labels } from '../alerts/alert'
import type { Send } from '../backends/backend'
import { hostAndPort, quoted, type PrometheusClient } from './prometheus'
import { SharedAnswers, type Sized } from './shared-answers'

/** A place that may have a trace. */
export interface TraceSource {
  readonly name: string
  /** OTLP/JSON of the trace, or undefined if it is not there. */
  fetch(traceId: string, signal: AbortSignal): Promise<unknown>
}

/** A store of traces of all services. */
export interface TraceBackend extends TraceSource {
  /** The same as `fetch`, but without sharing answers and turns with other queries, and bounded by the signal alone. */
  ask(traceId: string, signal: AbortSignal): Promise<unknown>
}

/** One replica of the gateway. */
export interface Replica {
  /** Address of its ops port, without a trailing slash. */
  readonly url: string
  /** `OPS_TOKEN`, if the replica may receive it. */
  readonly token: string | undefined
}

/** The kept traces of one gateway replica, read from its ops port. */
export function gatewayReplica({ url, token }: Replica): TraceSource {
  return {
    name: url,
    fetch: (traceId, signal) => fetchJson(`${url}/traces/${traceId}`, signal, opsHeaders(token)),
  }
}

/** The headers of a request to an ops port. */
export function opsHeaders(token: string | undefined): Record<string, string> {
  return { accept: 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) }
}

/** Jaeger's API v3, which wraps OTLP in `result`. */
export function jaeger(url: string, send?: Send): TraceBackend {
  return traceBackend(url, { path: '/api/v3/traces/', wrappedIn: 'result', headers: {} }, send)
}

/** Tempo's API v2. */
export function tempo(url: string, send?: Send): TraceBackend {
  return traceBackend(
    url,
    { path: '/api/v2/traces/', wrappedIn: 'trace', headers: { accept: 'application/json' } },
    send,
  )
}

interface TraceApi {
  readonly path: string
  /** The field of the response that contains the trace. */
  readonly wrappedIn: string
  readonly headers: Record<string, string>
}

function traceBackend(url: string, { path, wrappedIn, headers }: TraceApi, send: Send = fetchDirectly): TraceBackend {
  const base = url.replace(/\/$/, '')
  const unwrap = (answer: unknown): unknown => (answer as Record<string, unknown> | undefined)?.[wrappedIn]
  return {
    name: base,
    fetch: async (traceId, signal) => unwrap(await fetchJson(`${base}${path}${traceId}`, signal, headers, send)),
    ask: async (traceId, signal) => unwrap((await askJson(`${base}${path}${traceId}`, headers, send, signal)).answer),
  }
}

/** Which replicas are queried, and which of them receive the token. */
export interface ReplicaOptions extends TokenOptions {
  readonly prometheus: Pick<PrometheusClient, 'query' | 'targets'>
}

interface TokenOptions {
  readonly prometheus: Pick<PrometheusClient, 'targets'>
  /** The Prometheus job that scrapes the gateways. */
  readonly gatewayJob: string
  readonly opsToken: string | undefined
  /** Hosts, with or without port, that receive the token, besides those that Prometheus scrapes for the job. */
  readonly opsTokenHosts: readonly string[]
}

interface Moment {
  readonly timeMs: number
  readonly signal: AbortSignal
}

/** Finds the replicas by `instance`, and which of them may receive the token. */
export async function findReplicas(options: ReplicaOptions, moment: Moment): Promise<ReadonlyMap<string, Replica>> {
  const [urls, tokenFor] = await Promise.all([
    findReplicaUrls(options.prometheus, options.gatewayJob, moment),
    tokenRule(options, moment.signal),
  ])
  return new Map([...urls].map(([instance, url]) => [instance, { url, token: tokenFor(url) }]))
}

/**
 * Decides which ops ports may receive the token: those at hosts that Prometheus scrapes for the gateway's job, or that a
 * setting names. Otherwise any program could report an address of its own to collect the token; with `honor_labels` its
 * series can even choose their job.
 */
export async function tokenRule(
  { prometheus, gatewayJob, opsToken, opsTokenHosts }: TokenOptions,
  signal: AbortSignal,
): Promise<(url: string) => string | undefined> {
  const scraped =
    opsToken === undefined ? NO_TARGETS : await prometheus.targets(gatewayJob, signal).catch(() => NO_TARGETS)
  return url => {
    const host = hostAndPort(url) ?? ''
    const isAllowed = scraped.has(host) || opsTokenHosts.includes(host) || opsTokenHosts.includes(withoutPort(host))
    return isAllowed ? opsToken : undefined
  }
}

/** The ops port of each replica by `instance`, as the replicas report it in `gateway_ops_info`. */
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

/** The empty result for an API that only resembles Prometheus. */
const NO_TARGETS: ReadonlySet<string> = new Set()

function withoutPort(host: string): string {
  return host.slice(0, host.lastIndexOf(':'))
}

/** Maximum response size; a larger one is not the trace of one request. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024

export async function fetchJson(
  url: string,
  signal: AbortSignal,
  headers: Record<string, string> = {},
  send: Send = fetchDirectly,
): Promise<unknown> {
  return answers.get(url, signal, async () => askJson(url, headers, send))
}

/** Shared by the process: alerts of one cause have the same example traces. */
const answers = new SharedAnswers()

/** Maximum time of a query, also if other callers still wait for it. */
const ASK_TIMEOUT_MS = 5_000

/** Follows no redirect: an ops port has none, and the token is meant for it. */
const fetchDirectly: Send = async (url, init) => fetch(url, { ...init, redirect: 'error' })

/** Asks without sharing the answer. */
export async function askJson(
  url: string,
  headers: Record<string, string>,
  send: Send = fetchDirectly,
  signal: AbortSignal = AbortSignal.timeout(ASK_TIMEOUT_MS),
): Promise<Sized<unknown>> {
  const response = await send(url, { headers, signal })
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
