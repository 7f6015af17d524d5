import type { IncomingMessage, ServerResponse } from 'node:http'
import { diag } from '@opentelemetry/api'
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus'
import type { AggregationTemporality, InstrumentType } from '@opentelemetry/sdk-metrics'
import { NO_EXEMPLARS, type ExemplarSource } from '../exemplars'
import { temporalityOf } from '../observed-gauges'
import { LabelCache } from './labels'
import { acceptsGzip, CONTENT_TYPES, negotiateFormat, type Format } from './negotiation'
import type { ExponentialReader } from './native-histograms'
import { Scrape, settled, type Body, type Collected } from './scrape'
import { piecesOf, type MetricPiece } from './worker-metrics'
import { WorkerTotals, type AskWorkers } from './worker-totals'

/** An observable instrument that takes longer is left out of this scrape; Prometheus itself times out after 10 s. */
const COLLECT_TIMEOUT_MS = 5_000
/** Maximum distinct problems that are logged, once each. */
const MOST_COMPLAINTS = 100

/**
 * PrometheusExporter plus OpenMetrics, unit suffixes and gzip. A scrape never blocks the event loop for long, never
 * hangs and never returns an empty 200. This exporter opens no port of its own.
 */
export class PrometheusExposition extends PrometheusExporter {
  readonly #labels = new LabelCache()
  readonly #complaints = new Set<string>()
  #scrape: Scrape | undefined
  #answering = 0
  /** Since the last call of `drain`. */
  #hasScraped = false
  #workers: WorkerTotals | undefined
  readonly #exemplars: ExemplarSource
  readonly #collectTimeoutMs: number
  readonly #exponential: ExponentialReader | undefined

  /** @param exponential the reader of native histograms; undefined: there are none, and no protobuf */
  constructor(
    exemplars: ExemplarSource = NO_EXEMPLARS,
    collectTimeoutMs = COLLECT_TIMEOUT_MS,
    exponential?: ExponentialReader,
  ) {
    super({ preventServerStart: true })
    this.#exemplars = exemplars
    this.#collectTimeoutMs = collectTimeoutMs
    this.#exponential = exponential
  }

  override selectAggregationTemporality(type: InstrumentType): AggregationTemporality {
    return temporalityOf(type, super.selectAggregationTemporality(type))
  }

  /**
   * Collects and drops the result if nothing was scraped since the last call. With a view, the SDK keeps what each reader
   * has not collected yet, without a bound.
   */
  async drain(): Promise<void> {
    const hasScraped = this.#hasScraped
    this.#hasScraped = false
    if (hasScraped) return
    await this.collect({ timeoutMillis: this.#collectTimeoutMs })
    await this.#exponential?.collect({ timeoutMillis: this.#collectTimeoutMs })
  }

  /** Makes this the exposition of the primary, which adds the metrics of its workers to its own. */
  addWorkers(ask: AskWorkers): WorkerTotals {
    return (this.#workers = new WorkerTotals(ask))
  }

  /** A worker's part of the primary's exposition. */
  async pieces(): Promise<readonly MetricPiece[]> {
    this.#hasScraped = true
    return [...piecesOf((await this.#collectOwn()).metrics, this.#exemplars)]
  }

  /** Renders without a request, for a worker that was scraped: the primary has the metrics of all. */
  async exposition(accept: string | undefined): Promise<{ readonly contentType: string; readonly body: Buffer }> {
    const format = negotiateFormat(accept)
    return { contentType: CONTENT_TYPES[format], body: Buffer.concat(await this.#body(format, false)) }
  }

  /** Answers every request, and reports errors only through the response. */
  override getMetricsRequestHandler(request: IncomingMessage, response: ServerResponse): void {
    void this.#answer(request, response)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const format = negotiateFormat(
        request.headers.accept,
        this.#exponential !== undefined && this.#workers === undefined,
      )
      const gzip = acceptsGzip(header(request, 'accept-encoding'))
      const body = await this.#body(format, gzip)
      response.writeHead(200, {
        'content-type': CONTENT_TYPES[format],
        'content-length': body.reduce((bytes, piece) => bytes + piece.length, 0),
        'cache-control': 'no-store',
        vary: 'accept, accept-encoding',
        ...(gzip ? { 'content-encoding': 'gzip' } : {}),
      })
      for (const piece of body) response.write(piece)
      response.end()
    } catch (error) {
      this.#answerFailure(response, error)
    }
  }

  /**
   * Overlapping scrapes share one collection. Some instruments (event loop delay and utilization) report changes since
   * the last collection: a second one right after the first would find almost nothing. Sharing also limits the cost of
   * many scrapers. A scrape that starts after the last of them was answered gets fresh values.
   */
  async #body(format: Format, gzip: boolean): Promise<Body> {
    const scrape = (this.#scrape ??= new Scrape(() => this.#collectAll(), {
      labels: this.#labels,
      complain: problem => this.#complainOnce(problem),
    }))
    this.#answering++
    this.#hasScraped = true
    try {
      return await scrape.body(format, gzip)
    } finally {
      if (--this.#answering === 0) this.#scrape = undefined
    }
  }

  /** In the primary, together with the workers'. These have no native histograms: only one process writes them. */
  async #collectAll(): Promise<Collected> {
    const { metrics, exponential } = await this.#collectOwn()
    if (this.#workers === undefined) return { metrics, exponential, exemplars: this.#exemplars }
    return { ...(await this.#workers.merge(metrics, this.#exemplars)), exponential: undefined }
  }

  async #collectOwn(): Promise<Omit<Collected, 'exemplars'>> {
    const timeout = { timeoutMillis: this.#collectTimeoutMs }
    const collected = await this.collect(timeout)
    // Directly afterwards, before anything else can collect (native-histograms.ts).
    const exponential = (await this.#exponential?.collect(timeout))?.resourceMetrics
    return { exponential, metrics: await settled(collected) }
  }

  #answerFailure(response: ServerResponse, error: unknown): void {
    diag.error('metrics could not be exposed', error)
    if (response.headersSent || response.destroyed) {
      // A response that has started cannot be replaced; an aborted one is at least not taken as complete.
      response.destroy()
      return
    }
    const reason = error instanceof Error ? error.message.replaceAll('\n', ' ') : 'unknown'
    response.writeHead(503, { 'content-type': CONTENT_TYPES.text, 'cache-control': 'no-store' })
    response.end(`# metrics could not be collected: ${reason}\n`)
  }

  #complainOnce(problem: string): void {
    if (this.#complaints.has(problem) || this.#complaints.size >= MOST_COMPLAINTS) return
    this.#complaints.add(problem)
    diag.warn(problem)
  }
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value.join(',') : value
}
