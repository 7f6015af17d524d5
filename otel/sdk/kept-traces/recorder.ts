import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type * as Transformer from '@opentelemetry/otlp-transformer'
import { load } from '../load'
import type { KeptTraceFilter, KeptTraceSummary } from '../telemetry'
import { ATTR_OUTCOME, ATTR_REASON, ATTR_ROUTE, durationMs, textOf, type KeepCause } from './keep-cause'

/** Limits of the recorder; they apply to each of the two rings. */
export interface RecorderBounds {
  readonly maxRequests: number
  readonly maxBytes: number
}

const BOUNDS: RecorderBounds = { maxRequests: 1_000, maxBytes: 16 * 1024 * 1024 }
/** Maximum spans of one request, including those that ended after it. */
const MAX_SPANS_PER_REQUEST = 256

/** The kept spans of one request. A trace may have several, if its caller sent more than one request. */
export interface KeptRequest {
  readonly root: ReadableSpan
  readonly spans: readonly ReadableSpan[]
  readonly cause: KeepCause
}

/**
 * Keeps the traces of the last minutes in memory, so that a trace id can be opened without a trace backend.
 *
 * There are two rings, because at 100 % sampling the many good requests would evict the few failing ones. In the ring
 * of notable requests the newest of each route and reason is evicted last: an alert may still refer to it.
 */
export class Recorder {
  readonly #notable: Ring
  readonly #sampled: Ring

  constructor(bounds: RecorderBounds = BOUNDS) {
    this.#notable = new Ring(bounds)
    this.#sampled = new Ring(bounds)
  }

  /** Adds one request's spans; `root` is its SERVER span. A request that was recorded as unfinished is replaced. */
  add(root: ReadableSpan, spans: readonly ReadableSpan[], cause: KeepCause): KeptRequest {
    const { spanId } = root.spanContext()
    const before = this.#notable.take(spanId) ?? this.#sampled.take(spanId)
    const earlier = before?.spans.filter(span => span.spanContext().spanId !== spanId) ?? []
    const request: Entry = { root, spans: [...earlier, ...spans], cause, bytes: 0 }
    const ring = cause === 'sampled' ? this.#sampled : this.#notable
    ring.add(request)
    return request
  }

  /** Adds a span that ended after its request. */
  addLate(request: KeptRequest, span: ReadableSpan): void {
    if (request.spans.length < MAX_SPANS_PER_REQUEST)
      this.#ringOf(request.root.spanContext().spanId)?.append(request, span)
  }

  /** Whether the request with this SERVER span is still recorded. */
  has({ spanId }: { readonly spanId: string }): boolean {
    return this.#ringOf(spanId) !== undefined
  }

  /** Number of recorded requests. */
  get size(): number {
    return this.#notable.size + this.#sampled.size
  }

  /** Estimated memory of the recorded spans; at most twice the bound of a ring. */
  get bytes(): number {
    return this.#notable.bytes + this.#sampled.bytes
  }

  /** Newest first. */
  list(filter: KeptTraceFilter, limit: number): KeptTraceSummary[] {
    const found: KeptTraceSummary[] = []
    for (const request of this.#requests()) {
      const summary = summarise(request)
      if (matches(summary, filter)) found.push(summary)
    }
    return found.sort((a, b) => b.timeMs - a.timeMs).slice(0, limit)
  }

  /** All kept requests of the trace as OTLP/JSON (`resourceSpans`); undefined if none is recorded any more. */
  otlpJson(traceId: string): string | undefined {
    const spans: ReadableSpan[] = []
    for (const request of this.#requests()) {
      if (request.root.spanContext().traceId === traceId) spans.push(...request.spans)
    }
    if (spans.length === 0) return undefined
    const { JsonTraceSerializer: serializer } = load<typeof Transformer>('@opentelemetry/otlp-transformer')
    return new TextDecoder().decode(serializer.serializeRequest(spans))
  }

  #ringOf(spanId: string): Ring | undefined {
    if (this.#notable.has(spanId)) return this.#notable
    return this.#sampled.has(spanId) ? this.#sampled : undefined
  }

  *#requests(): Iterable<KeptRequest> {
    yield* this.#notable.requests()
    yield* this.#sampled.requests()
  }
}

/** Whether a trace passes a filter. */
export function matches(summary: KeptTraceSummary, filter: KeptTraceFilter): boolean {
  const { minDurationMs = 0, fromMs = -Infinity, toMs = Infinity, status, ...equal } = filter
  if (summary.durationMs < minDurationMs || summary.timeMs < fromMs || summary.timeMs > toMs) return false
  if (status !== undefined && !hasStatus(summary, status)) return false
  for (const [key, value] of Object.entries(equal)) {
    if (value !== undefined && String(summary[key as keyof KeptTraceSummary] ?? '') !== value) return false
  }
  return true
}

/** @param wanted a status, or a class such as `5xx` */
function hasStatus({ status }: KeptTraceSummary, wanted: string): boolean {
  if (status === undefined) return false
  return String(status) === wanted || `${Math.floor(status / 100)}xx` === wanted
}

interface Entry extends KeptRequest {
  readonly spans: ReadableSpan[]
  bytes: number
}

/** A bounded map of requests by the id of their SERVER span, in the order of arrival. */
class Ring {
  readonly #bounds: RecorderBounds
  readonly #entries = new Map<string, Entry>()
  /** The newest notable request of each route and reason; bounded by the number of routes and reasons. */
  readonly #newest = new Map<string, Entry>()
  #bytes = 0

  constructor(bounds: RecorderBounds) {
    this.#bounds = bounds
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#bytes
  }

  has(spanId: string): boolean {
    return this.#entries.has(spanId)
  }

  requests(): Iterable<KeptRequest> {
    return this.#entries.values()
  }

  add(entry: Entry): void {
    entry.bytes = sizeOf(entry.spans)
    this.#entries.set(entry.root.spanContext().spanId, entry)
    this.#bytes += entry.bytes
    if (entry.cause !== 'sampled') this.#newest.set(kindOf(entry), entry)
    this.#evict()
  }

  /** Appends a span; does nothing if the request was evicted. */
  append(request: KeptRequest, span: ReadableSpan): void {
    const entry = this.#entries.get(request.root.spanContext().spanId)
    if (entry !== request) return
    const bytes = sizeOf([span])
    entry.spans.push(span)
    entry.bytes += bytes
    this.#bytes += bytes
    this.#evict()
  }

  /** Removes a request and returns it. */
  take(spanId: string): Entry | undefined {
    const entry = this.#entries.get(spanId)
    if (entry === undefined) return undefined
    this.#entries.delete(spanId)
    this.#bytes -= entry.bytes
    if (this.#isNewest(entry)) this.#newest.delete(kindOf(entry))
    return entry
  }

  #evict(): void {
    for (const evenNewest of [false, true]) {
      for (const [spanId, entry] of this.#entries) {
        if (this.#entries.size <= this.#bounds.maxRequests && this.#bytes <= this.#bounds.maxBytes) return
        if (evenNewest || !this.#isNewest(entry)) this.take(spanId)
      }
    }
  }

  #isNewest(entry: Entry): boolean {
    return entry.cause !== 'sampled' && this.#newest.get(kindOf(entry)) === entry
  }
}

/** The kind of a request: its route and reason; slow requests have no reason. */
function kindOf({ root, cause }: Entry): string {
  return `${textOf(root, ATTR_ROUTE)}\0${textOf(root, ATTR_REASON) ?? cause}`
}

function summarise({ root, cause }: KeptRequest): KeptTraceSummary {
  const { attributes } = root
  const status = attributes['http.response.status_code']
  return {
    traceId: root.spanContext().traceId,
    timeMs: root.startTime[0] * 1e3 + Math.floor(root.startTime[1] / 1e6),
    method: textOf(root, 'http.request.method'),
    path: textOf(root, 'url.path'),
    route: textOf(root, ATTR_ROUTE),
    upstream: textOf(root, 'gateway.upstream.name'),
    status: typeof status === 'number' ? status : undefined,
    outcome: textOf(root, ATTR_OUTCOME),
    reason: textOf(root, ATTR_REASON),
    durationMs: Math.round(durationMs(root) * 1e3) / 1e3,
    consumer: textOf(root, 'gateway.consumer.name'),
    requestId: textOf(root, 'gateway.request.id'),
    cause,
  }
}

/** Approximate memory of the spans: their objects and the characters of their values. */
function sizeOf(spans: readonly ReadableSpan[]): number {
  let bytes = 0
  for (const { name, attributes, events } of spans) {
    bytes += 1_000 + name.length
    for (const key in attributes) bytes += 32 + key.length + valueSize(attributes[key])
    for (const event of events) {
      for (const key in event.attributes) bytes += 32 + key.length + valueSize(event.attributes[key])
    }
  }
  return bytes
}

function valueSize(value: unknown): number {
  return typeof value === 'string' ? value.length : 16
}
