import type { Labels } from '../alerts/alert'
import { sendPlain, type Send } from '../backends/backend'
import { SharedAnswers, type Sized } from './shared-answers'

export interface Sample {
  readonly labels: Labels
  readonly value: number
}

export interface Series {
  readonly labels: Labels
  /** Seconds since the epoch, value. */
  readonly points: readonly (readonly [number, number])[]
}

/** An exemplar in Prometheus: a request that contributed to a number. */
export interface FoundExemplar {
  /** Labels of its series; `instance` names the replica. */
  readonly series: Labels
  readonly traceId: string
  readonly value: number
  readonly timeMs: number
}

/** An address that Prometheus scrapes. */
export interface Scrape {
  readonly instance: string | undefined
  readonly url: string
  /** Why the last scrape failed; undefined: it did not. */
  readonly lastError: string | undefined
}

/** Maximum time of a query, also if other callers still wait for it. */
const ASK_TIMEOUT_MS = 5_000

/** The queries that evidence sends to Prometheus (HTTP API v1). The caller's signal limits each of them. */
export class PrometheusClient {
  readonly #url: string
  readonly #send: Send
  readonly #answers: SharedAnswers

  constructor(url: string, send: Send = sendPlain, answers = new SharedAnswers()) {
    this.#url = url.replace(/\/$/, '')
    this.#send = send
    this.#answers = answers
  }

  /** @param timeMs when; milliseconds since the epoch */
  async query(expression: string, timeMs: number, signal: AbortSignal): Promise<Sample[]> {
    const { result } = (await this.#get('query', { query: expression, time: seconds(timeMs) }, signal)) as {
      result: { metric: Labels; value: [number, string] }[]
    }
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
  }

  async queryRange(
    expression: string,
    range: { readonly startMs: number; readonly endMs: number; readonly stepMs: number },
    signal: AbortSignal,
  ): Promise<Series[]> {
    const parameters = {
      query: expression,
      start: seconds(range.startMs),
      end: seconds(range.endMs),
      step: seconds(range.stepMs),
    }
    const { result } = (await this.#get('query_range', parameters, signal)) as {
      result: { metric: Labels; values: [number, string][] }[]
    }
    return result.map(({ metric, values }) => ({
      labels: metric,
      points: values.map(([time, value]) => [time, Number(value)] as const),
    }))
  }

  /**
   * @param selector a plain series selector: exemplars belong to series, and an expression with functions finds none
   */
  async queryExemplars(
    selector: string,
    startMs: number,
    endMs: number,
    signal: AbortSignal,
  ): Promise<FoundExemplar[]> {
    const parameters = { query: selector, start: seconds(startMs), end: seconds(endMs) }
    const data = (await this.#get('query_exemplars', parameters, signal)) as {
      seriesLabels: Labels
      exemplars: { labels: Labels; value: string; timestamp: number }[]
    }[]
    return data.flatMap(({ seriesLabels, exemplars }) =>
      exemplars.flatMap(({ labels, value, timestamp }) => {
        const traceId = labels['trace_id']
        if (traceId === undefined || !/^[0-9a-f]{32}$/.test(traceId)) return []
        return [{ series: seriesLabels, traceId, value: Number(value), timeMs: timestamp * 1_000 }]
      }),
    )
  }

  /** Addresses that Prometheus scrapes for a job now: `host:port`, with the scheme's default port if there is none. */
  async targets(job: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const targets = await this.scrapes(job, signal)
    return new Set(targets.flatMap(({ url }) => hostAndPort(url) ?? []))
  }

  /** What Prometheus scrapes for a job now, and why the last scrape failed. */
  async scrapes(job: string, signal: AbortSignal): Promise<Scrape[]> {
    const { activeTargets } = (await this.#answers.get('targets', signal, async () => this.#askTargets())) as {
      activeTargets: { labels: Labels; scrapeUrl: string; lastError?: string }[]
    }
    return activeTargets
      .filter(({ labels }) => labels['job'] === job)
      .map(({ labels, scrapeUrl, lastError = '' }) => ({
        instance: labels['instance'],
        url: scrapeUrl,
        lastError: lastError === '' ? undefined : lastError,
      }))
  }

  async #askTargets(): Promise<Sized<unknown>> {
    const signal = AbortSignal.timeout(ASK_TIMEOUT_MS)
    return readAnswer(await this.#send(`${this.#url}/api/v1/targets?state=active`, { signal }), 'targets')
  }

  async #get(path: string, parameters: Readonly<Record<string, string>>, signal: AbortSignal): Promise<unknown> {
    const body = new URLSearchParams(parameters).toString()
    return this.#answers.get(`${path}?${body}`, signal, async () => this.#ask(path, body))
  }

  async #ask(path: string, body: string): Promise<Sized<unknown>> {
    const response = await this.#send(`${this.#url}/api/v1/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body,
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    })
    return readAnswer(response, path)
  }
}

async function readAnswer(response: Response, path: string): Promise<Sized<unknown>> {
  const text = await response.text()
  // A proxy's page about missing credentials is no JSON.
  if (response.status === 401 || response.status === 403)
    throw new Error(`Prometheus answered ${response.status}: are the credentials in PROMETHEUS_HTTP_CONFIG right?`)
  const answer = JSON.parse(text) as { status: string; data: unknown; error?: string }
  if (answer.status !== 'success') throw new Error(`Prometheus refused ${path}: ${answer.error ?? response.status}`)
  return { answer: answer.data, bytes: text.length }
}

/** Undefined if the text is not an http URL. */
export function hostAndPort(url: string): string | undefined {
  const { protocol, hostname, port } = URL.parse(url) ?? {}
  if (protocol !== 'http:' && protocol !== 'https:') return undefined
  return `${hostname}:${port || (protocol === 'https:' ? '443' : '80')}`
}

/** Quotes a string for a PromQL selector, so that a label value cannot end it. */
export function quoted(value: string): string {
  return JSON.stringify(value)
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(3)
}
