import { TraceFlags, type Attributes, type Context, type Meter } from '@opentelemetry/api'
import type { ReadableSpan, Span, SpanProcessor } from '@opentelemetry/sdk-trace'
import { KeepBudget } from './keep-budget'
import { ATTR_REASON, ATTR_ROUTE, keepCause, textOf, type KeepCause } from './keep-cause'
import type { Recorder } from './recorder'

export interface KeptTracesOptions {
  /** Requests that took longer are kept, in milliseconds. */
  readonly slowMs: number
  /** Traces kept per second for each route and reason. */
  readonly perSecond: number
  /** Where kept spans leave: batch processors and the like. */
  readonly exports: readonly SpanProcessor[]
  readonly recorder: Recorder
}

/** Requests under way whose spans are held; above it spans go the ordinary way and only sampled ones are exported. */
const MAX_GROUPS = 10_000
/** Spans held for one request; a request that makes more loses the later ones. */
const MAX_SPANS_PER_GROUP = 128
/** A request that is still open after so long is told about as it is, marked as unfinished. */
const MAX_AGE_MS = 10 * 60_000
const SWEEP_INTERVAL_MS = 10_000

/** The spans of one request in this process: its local root and everything below. */
interface Group {
  readonly root: ReadableSpan
  readonly startedAt: number
  readonly spans: ReadableSpan[]
  open: number
  cause: KeepCause | undefined
  decided: boolean
}

/**
 * Decides when a request is over whether its spans are worth keeping: faults, limited and slow requests, and whatever the
 * head sampler chose. A head sampler alone tosses its coin before the error exists.
 *
 * Every span is recorded for that (`sampler.ts`); what is not kept is dropped here, having cost nothing but memory. Only
 * the gateway's own spans can be kept so: services behind it decide by the flag they received.
 */
export class KeptTraces implements SpanProcessor {
  readonly #options: KeptTracesOptions
  readonly #budget: KeepBudget
  /** Each open span's group, by span id. */
  readonly #open = new Map<string, Group>()
  /** Undecided groups, oldest first. */
  readonly #groups = new Set<Group>()
  readonly #sweeper: NodeJS.Timeout
  readonly #counts = { kept: new Map<KeepCause, number>(), lost: new Map<string, number>() }

  constructor(options: KeptTracesOptions) {
    this.#options = options
    this.#budget = new KeepBudget(options.perSecond)
    this.#sweeper = setInterval(() => this.#flushOlderThan(MAX_AGE_MS), SWEEP_INTERVAL_MS).unref()
  }

  onStart(span: Span, _parent: Context): void {
    const parent = span.parentSpanContext
    const isLocalRoot = parent === undefined || parent.isRemote === true
    const group = isLocalRoot ? this.#newGroup(span) : this.#open.get(parent.spanId)
    if (!group) return
    group.open++
    this.#open.set(span.spanContext().spanId, group)
  }

  onEnding(): void {
    // Nothing: attributes may still change.
  }

  onEnd(span: ReadableSpan): void {
    const { spanId } = span.spanContext()
    const group = this.#open.get(spanId)
    if (!group) return this.#export(span, isSampled(span))
    this.#open.delete(spanId)
    group.open--
    if (group.decided) this.#addLate(group, span)
    else if (group.spans.length < MAX_SPANS_PER_GROUP || span === group.root) group.spans.push(span)
    else this.#lose('spans')
    if (span === group.root && !group.decided) this.#decide(group, span, this.#verdict(span))
  }

  async forceFlush(): Promise<void> {
    await Promise.all(this.#options.exports.map(processor => processor.forceFlush()))
  }

  async shutdown(): Promise<void> {
    clearInterval(this.#sweeper)
    this.#flushOlderThan(0)
    await Promise.all(this.#options.exports.map(processor => processor.shutdown()))
  }

  /** How many traces were kept and why, and how much was lost. */
  observe(meter: Meter): void {
    const kept = meter.createObservableCounter('gateway.traces.kept', {
      unit: '{trace}',
      description: 'Traces kept, by cause',
    })
    const lost = meter.createObservableCounter('gateway.traces.lost', {
      unit: '{item}',
      description: 'Traces and spans worth keeping that were not: over the rate, too many at once, too many spans',
    })
    const held = meter.createObservableGauge('gateway.traces.recorded', {
      unit: '{trace}',
      description: 'Traces in the recorder',
    })
    kept.addCallback(result => observeAll(this.#counts.kept, (n, cause) => result.observe(n, attributesOf(cause))))
    lost.addCallback(result => observeAll(this.#counts.lost, (n, why) => result.observe(n, attributesOf(why))))
    held.addCallback(result => result.observe(this.#options.recorder.size))
  }

  #newGroup(root: ReadableSpan): Group | undefined {
    if (this.#groups.size >= MAX_GROUPS) {
      this.#lose('groups')
      return undefined
    }
    const group: Group = {
      root,
      startedAt: performance.now(),
      spans: [],
      open: 0,
      cause: undefined,
      decided: false,
    }
    this.#groups.add(group)
    return group
  }

  #verdict(root: ReadableSpan): KeepCause | undefined {
    const cause = keepCause(root, this.#options.slowMs)
    if (cause !== undefined) {
      const reason = textOf(root, ATTR_REASON) ?? cause
      if (this.#budget.take(textOf(root, ATTR_ROUTE) ?? '', reason, performance.now())) return cause
      if (!isSampled(root)) this.#lose('rate')
    }
    return isSampled(root) ? 'sampled' : undefined
  }

  #decide(group: Group, root: ReadableSpan, cause: KeepCause | undefined): void {
    group.decided = true
    group.cause = cause
    this.#groups.delete(group)
    if (cause === undefined) return
    this.#counts.kept.set(cause, (this.#counts.kept.get(cause) ?? 0) + 1)
    this.#options.recorder.add(root, group.spans, cause)
    for (const span of group.spans) this.#export(span, true)
  }

  #addLate(group: Group, span: ReadableSpan): void {
    if (group.cause === undefined) return
    this.#options.recorder.addLate(span)
    this.#export(span, true)
  }

  #export(span: ReadableSpan, wanted: boolean): void {
    if (!wanted) return
    const exported = isSampled(span) ? span : asSampled(span)
    for (const processor of this.#options.exports) processor.onEnd(exported)
  }

  #flushOlderThan(ageMs: number): void {
    const now = performance.now()
    for (const group of this.#groups) {
      if (now - group.startedAt < ageMs) return
      const soFar = asUnfinished(group.root)
      group.spans.push(soFar)
      this.#decide(group, soFar, 'unfinished')
    }
  }

  #lose(what: 'rate' | 'groups' | 'spans'): void {
    this.#counts.lost.set(what, (this.#counts.lost.get(what) ?? 0) + 1)
  }
}

function isSampled(span: ReadableSpan): boolean {
  return (span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0
}

/** Exporters drop spans without the flag; this one was chosen later than the flag was. */
function asSampled(span: ReadableSpan): ReadableSpan {
  const spanContext = { ...span.spanContext(), traceFlags: span.spanContext().traceFlags | TraceFlags.SAMPLED }
  return Object.create(span, { spanContext: { value: () => spanContext } }) as ReadableSpan
}

/** A span that has not ended, as if it ended now. */
function asUnfinished(span: ReadableSpan): ReadableSpan {
  const now = Date.now()
  const elapsedMs = Math.max(0, now - (span.startTime[0] * 1e3 + span.startTime[1] / 1e6))
  return Object.create(span, {
    endTime: { value: [Math.floor(now / 1e3), (now % 1e3) * 1e6] },
    duration: { value: [Math.floor(elapsedMs / 1e3), Math.floor((elapsedMs % 1e3) * 1e6)] },
    ended: { value: true },
    attributes: { value: { ...span.attributes, 'gateway.trace.unfinished': true } },
  }) as ReadableSpan
}

function attributesOf(cause: string): Attributes {
  return { 'gateway.traces.cause': cause }
}

function observeAll<Key>(counts: ReadonlyMap<Key, number>, observe: (count: number, key: Key) => void): void {
  for (const [key, count] of counts) observe(count, key)
}
