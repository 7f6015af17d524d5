import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { KeptTraceFilter, KeptTraceSummary } from '../telemetry'
import { ATTR_OUTCOME, ATTR_REASON, ATTR_ROUTE, durationMs, textOf, type KeepCause } from './keep-cause'

/** Bounds of the recorder, each of the two rings by itself. */
export interface RecorderBounds {
  readonly maxTraces: number
  readonly maxBytes: number
}

interface Entry {
  readonly summary: KeptTraceSummary
  readonly spans: ReadableSpan[]
  bytes: number
}

const BOUNDS: RecorderBounds = { maxTraces: 1_000, maxBytes: 16 * 1024 * 1024 }

/**
 * The kept traces of the last minutes, in memory, so that a trace id resolves without any trace backend.
 *
 * Two rings, because at 100 % sampling the many good requests would push out the few failing ones. In the ring of the
 * notable ones the newest trace of each route and reason outlives all others: an alert may still point at it.
 */
export class Recorder {
  readonly #notable: Ring
  readonly #sampled: Ring

  constructor(bounds: RecorderBounds = BOUNDS) {
    this.#notable = new Ring(bounds)
    this.#sampled = new Ring(bounds)
  }

  /** Takes one request's spans; `root` is its SERVER span. Several requests of one trace share an entry. */
  add(root: ReadableSpan, spans: readonly ReadableSpan[], cause: KeepCause): void {
    const ring = cause === 'sampled' ? this.#sampled : this.#notable
    ring.add(root, spans, cause)
  }

  /** A span that ended after its root, as a redis command of an aborted request may. */
  addLate(span: ReadableSpan): void {
    const { traceId } = span.spanContext()
    const ring = this.#notable.has(traceId) ? this.#notable : this.#sampled
    ring.append(traceId, [span])
  }

  has(traceId: string): boolean {
    return this.#notable.has(traceId) || this.#sampled.has(traceId)
  }

  get size(): number {
    return this.#notable.size + this.#sampled.size
  }

  /** Newest first. */
  list(filter: KeptTraceFilter, limit: number): KeptTraceSummary[] {
    const found: KeptTraceSummary[] = []
    for (const ring of [this.#notable, this.#sampled]) {
      for (const summary of ring.summaries()) if (matches(summary, filter)) found.push(summary)
    }
    return found.sort((a, b) => b.timeMs - a.timeMs).slice(0, limit)
  }

  /** The trace as OTLP/JSON (`resourceSpans`), or undefined when it is gone. */
  otlpJson(traceId: string): string | undefined {
    const spans = [...this.#notable.spans(traceId), ...this.#sampled.spans(traceId)]
    if (spans.length === 0) return undefined
    return new TextDecoder().decode(JsonTraceSerializer.serializeRequest(spans))
  }
}

function matches(summary: KeptTraceSummary, filter: KeptTraceFilter): boolean {
  for (const [key, value] of Object.entries(filter)) {
    if (value !== undefined && String(summary[key as keyof KeptTraceSummary] ?? '') !== value) return false
  }
  return true
}

/** Spans one entry may hold, however many requests share its trace id. */
const MAX_SPANS_PER_TRACE = 256

/** A bounded map in the order of arrival. */
class Ring {
  readonly #bounds: RecorderBounds
  readonly #entries = new Map<string, Entry>()
  /** The newest trace per route and reason. */
  readonly #newest = new Map<string, string>()
  #bytes = 0

  constructor(bounds: RecorderBounds) {
    this.#bounds = bounds
  }

  get size(): number {
    return this.#entries.size
  }

  has(traceId: string): boolean {
    return this.#entries.has(traceId)
  }

  spans(traceId: string): readonly ReadableSpan[] {
    return this.#entries.get(traceId)?.spans ?? []
  }

  *summaries(): Iterable<KeptTraceSummary> {
    for (const { summary } of this.#entries.values()) yield summary
  }

  add(root: ReadableSpan, spans: readonly ReadableSpan[], cause: KeepCause): void {
    const { traceId } = root.spanContext()
    if (!this.append(traceId, spans)) {
      const bytes = sizeOf(spans)
      this.#entries.set(traceId, { summary: summarise(root, cause), spans: [...spans], bytes })
      this.#bytes += bytes
    }
    if (cause !== 'sampled') this.#newest.set(pinKey(root), traceId)
    this.#evict()
  }

  /** @returns false when there is no such trace (any more) */
  append(traceId: string, spans: readonly ReadableSpan[]): boolean {
    const entry = this.#entries.get(traceId)
    if (!entry) return false
    const room = MAX_SPANS_PER_TRACE - entry.spans.length
    const added = spans.slice(0, Math.max(0, room))
    const bytes = sizeOf(added)
    entry.spans.push(...added)
    entry.bytes += bytes
    this.#bytes += bytes
    return true
  }

  #evict(): void {
    const isFull = (): boolean => this.#entries.size > this.#bounds.maxTraces || this.#bytes > this.#bounds.maxBytes
    if (!isFull()) return
    const pinned = new Set(this.#newest.values())
    for (const evenPinned of [false, true]) {
      for (const [traceId, { bytes }] of this.#entries) {
        if (!isFull()) return
        if (pinned.has(traceId) && !evenPinned) continue
        this.#entries.delete(traceId)
        this.#bytes -= bytes
      }
    }
  }
}

/** Bounded like the table of reasons and the routes it is made of. */
function pinKey(root: ReadableSpan): string {
  return `${textOf(root, ATTR_ROUTE)}\0${textOf(root, ATTR_REASON)}`
}

function summarise(root: ReadableSpan, cause: KeepCause): KeptTraceSummary {
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
    cause,
  }
}

/** Roughly what a span costs in memory: its objects, and the characters of what it says. */
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
