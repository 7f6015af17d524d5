import { trace, TraceFlags, type Attributes, type Context, type Meter } from '@opentelemetry/api'
import type { ReadableSpan, Span, SpanProcessor } from '@opentelemetry/sdk-trace'
import { withThreshold } from '../sampling/otel-trace-state'
import { SAMPLES_ALL } from '../sampling/threshold'
import { KeepBudget } from './keep-budget'
import { ATTR_REASON, ATTR_ROUTE, ATTR_STREAM, keepCause, textOf, type KeepCause } from './keep-cause'
import type { KeptRequest, Recorder } from './recorder'

export interface KeptTracesOptions {
  /** Requests that took longer, in milliseconds, are kept. */
  readonly slowMs: number
  /** Maximum traces kept per second for each route and reason. */
  readonly perSecond: number
  /** Processors that export kept spans, such as batch processors. */
  readonly exports: readonly SpanProcessor[]
  readonly recorder: Recorder
  readonly bounds?: Partial<KeptTracesBounds>
  /** Milliseconds of any monotonic clock. */
  readonly now?: () => number
}

/**
 * Limits of the spans that wait in memory for their request to end. The limit on attribute length (`start.ts`) bounds a
 * span's size, so the number of spans bounds the bytes: usually about 2 kB each.
 */
export interface KeptTracesBounds {
  /** Maximum requests in flight whose spans are held. Above it, only the SERVER span of a request can be kept. */
  readonly maxGroups: number
  /**
   * Maximum spans held for one request; later ones are handled without tail sampling: only sampled ones are exported.
   */
  readonly maxSpansPerGroup: number
  /** Maximum spans held for all requests together. */
  readonly maxSpans: number
  /** A request that is still open after so many milliseconds is exported as it is, marked as unfinished. */
  readonly maxAgeMs: number
}

const BOUNDS: KeptTracesBounds = { maxGroups: 10_000, maxSpansPerGroup: 128, maxSpans: 50_000, maxAgeMs: 10 * 60_000 }
const SWEEP_INTERVAL_MS = 10_000
/**
 * Maximum sampled requests per second and route that the recorder takes; all of them are exported. Otherwise, at 100 %
 * sampling, the recorder would cover only a second under load, and holding spans that are evicted at once costs a tenth
 * of a request.
 */
const RECORDED_SAMPLED_PER_SECOND = 20

/** Attribute of a root that was exported before it ended. */
export const ATTR_UNFINISHED = 'gateway.trace.unfinished'

/**
 * The spans of one request in this process: its local root and everything below it. It is a class because V8 may
 * allocate object literals directly in the old generation, where they would hold their spans until the next full
 * collection.
 */
class Group {
  /** Index in the list of undecided groups. */
  place = -1
  /** Spans that have ended; emptied when the group is released. */
  spans: ReadableSpan[] = []
  /** `released`: held for too long; its spans are handled without tail sampling from now on. */
  state: 'undecided' | 'decided' | 'released' = 'undecided'
  cause: KeepCause | undefined
  /** The request's entry in the recorder. */
  kept: KeptRequest | undefined

  constructor(
    readonly root: ReadableSpan,
    readonly startedAt: number,
  ) {}
}

/** The group is stored on the span objects themselves: a map by span id would keep spans that never end for ever. */
const GROUP = Symbol('group')
interface Grouped {
  [GROUP]?: Group
}

/**
 * Decides at the end of a request whether its spans are kept: those of faults, of limited and slow requests, and of
 * requests that the head sampler chose. A head sampler alone decides before the error occurs.
 *
 * For this every span is recorded (`sampler.ts`); spans that are not kept are dropped here and cost only memory. It
 * covers the gateway's own spans only: the services behind it decide by the flag they received.
 */
export class KeptTraces implements SpanProcessor {
  readonly #options: KeptTracesOptions
  readonly #bounds: KeptTracesBounds
  readonly #now: () => number
  readonly #budget: KeepBudget
  readonly #recorded = new KeepBudget(RECORDED_SAMPLED_PER_SECOND)
  /**
   * Undecided groups. An array and not a `Set`: V8's leaves a chain of old tables as members come and go, and once a full
   * garbage collection has moved one of these to the old generation, it keeps every later group alive.
   */
  readonly #groups: Group[] = []
  /** Number of spans in undecided groups. */
  #held = 0
  readonly #sweeper: NodeJS.Timeout
  readonly #counts = { kept: new Map<KeepCause, number>(), lost: new Map<Loss, number>() }

  constructor(options: KeptTracesOptions) {
    this.#options = options
    this.#bounds = { ...BOUNDS, ...options.bounds }
    this.#now = options.now ?? (() => performance.now())
    this.#budget = new KeepBudget(options.perSecond)
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_INTERVAL_MS).unref()
  }

  /** Number of requests and spans that wait. */
  get pending(): { readonly groups: number; readonly spans: number } {
    return { groups: this.#groups.length, spans: this.#held }
  }

  onStart(span: Span, context: Context): void {
    const group = isLocalRoot(span) ? this.#newGroup(span) : groupOf(trace.getSpan(context))
    if (group) (span as Grouped)[GROUP] = group
  }

  onEnding(): void {
    // Does nothing: attributes may still change.
  }

  onEnd(span: ReadableSpan): void {
    const group = groupOf(span)
    if (group === undefined || group.state === 'released') this.#endAlone(span)
    else if (group.state === 'decided') this.#endLate(group, span)
    else if (span === group.root) this.#endRequest(group)
    else this.#hold(group, span)
  }

  async forceFlush(): Promise<void> {
    await Promise.all(this.#options.exports.map(processor => processor.forceFlush()))
  }

  async shutdown(): Promise<void> {
    clearInterval(this.#sweeper)
    for (const group of this.#groups.slice()) this.#tellUnfinished(group) // removes it from the list
    await Promise.all(this.#options.exports.map(processor => processor.shutdown()))
  }

  /** Releases groups that have been open for too long. */
  sweep(): void {
    const now = this.#now()
    const tooOld = this.#groups.filter(group => now - group.startedAt >= this.#bounds.maxAgeMs)
    for (const group of tooOld) this.#tellUnfinished(group)
  }

  /** Counts of traces kept, by cause, and of those lost. */
  observe(meter: Meter): void {
    const kept = meter.createObservableCounter('gateway.traces.kept', {
      unit: '{trace}',
      description: 'Traces kept, by cause',
    })
    const lost = meter.createObservableCounter('gateway.traces.lost', {
      unit: '{item}',
      description: 'Traces and spans that should have been kept and were not, by the limit that was reached',
    })
    const held = meter.createObservableGauge('gateway.traces.recorded', {
      unit: '{trace}',
      description: 'Traces in the recorder',
    })
    const memory = meter.createObservableGauge('gateway.traces.recorded.size', {
      unit: 'By',
      description: 'Estimated memory of the traces in the recorder',
    })
    const pending = meter.createObservableGauge('gateway.traces.pending', {
      unit: '{trace}',
      description: 'Requests in progress whose spans are held until the decision to keep them',
    })
    kept.addCallback(result => observeAll(this.#counts.kept, (n, cause) => result.observe(n, attributesOf(cause))))
    lost.addCallback(result => observeAll(this.#counts.lost, (n, why) => result.observe(n, attributesOf(why))))
    held.addCallback(result => result.observe(this.#options.recorder.size))
    memory.addCallback(result => result.observe(this.#options.recorder.bytes))
    pending.addCallback(result => result.observe(this.#groups.length))
  }

  #newGroup(root: ReadableSpan): Group | undefined {
    if (this.#groups.length >= this.#bounds.maxGroups) {
      this.#lose('groups')
      return undefined
    }
    const group = new Group(root, this.#now())
    group.place = this.#groups.push(group) - 1
    return group
  }

  #hold(group: Group, span: ReadableSpan): void {
    if (group.spans.length < this.#bounds.maxSpansPerGroup && this.#held < this.#bounds.maxSpans) {
      group.spans.push(span)
      this.#held++
      return
    }
    if (isSampled(span)) this.#export(span)
    else this.#lose('spans')
  }

  #endRequest(group: Group): void {
    this.#leave(group)
    group.state = 'decided'
    const cause = this.#verdict(group.root)
    if (cause === undefined) {
      group.spans = NO_SPANS
      return
    }
    group.spans.push(group.root)
    group.cause = cause
    group.kept = this.#keep(group.root, group.spans, cause)
    group.spans.length = 0 // releases the spans even if V8 keeps the array in the old generation
  }

  /** Handles a span that ended after its root, such as a Redis command of an aborted request. */
  #endLate({ cause, kept }: Group, span: ReadableSpan): void {
    if (cause === undefined) return
    if (kept) this.#options.recorder.addLate(kept, span)
    this.#export(span, cause)
  }

  /** Handles a span whose group could not be held, or was released. Its request is still decided, by the root alone. */
  #endAlone(span: ReadableSpan): void {
    const cause = isLocalRoot(span) ? this.#verdict(span) : undefined
    if (cause !== undefined) this.#keep(span, [span], cause)
    else if (isSampled(span)) this.#export(span)
  }

  #verdict(root: ReadableSpan): KeepCause | undefined {
    const cause = keepCause(root, this.#options.slowMs)
    if (cause !== undefined && this.#isWithinRate(root, cause)) return cause
    return isSampled(root) ? 'sampled' : undefined
  }

  #isWithinRate(root: ReadableSpan, cause: KeepCause): boolean {
    const reason = textOf(root, ATTR_REASON) ?? cause
    if (this.#budget.take(textOf(root, ATTR_ROUTE) ?? '', reason, this.#now())) return true
    if (!isSampled(root)) this.#lose('rate')
    return false
  }

  /** @returns undefined if the request is exported and not recorded */
  #keep(root: ReadableSpan, spans: readonly ReadableSpan[], cause: KeepCause): KeptRequest | undefined {
    this.#counts.kept.set(cause, (this.#counts.kept.get(cause) ?? 0) + 1)
    for (const span of spans) this.#export(span, cause)
    if (cause === 'sampled' && !this.#recorded.take(textOf(root, ATTR_ROUTE) ?? '', cause, this.#now()))
      return undefined
    return this.#options.recorder.add(root, spans, cause)
  }

  /**
   * Exports and records a request that has not ended with the spans known so far, and releases them. Its end, if it
   * comes, is decided like any other. A stream is long by design, so only sampled ones are exported.
   */
  #tellUnfinished(group: Group): void {
    this.#leave(group)
    group.state = 'released'
    const { root, spans } = group
    group.spans = NO_SPANS
    const isStream = root.attributes[ATTR_STREAM] !== undefined
    if (!isStream && this.#isWithinRate(root, 'unfinished')) {
      const soFar = asUnfinished(root)
      this.#keep(soFar, [...spans, soFar], 'unfinished')
    } else if (isSampled(root)) for (const span of spans) this.#export(span)
  }

  #leave(group: Group): void {
    this.#held -= group.spans.length
    const last = this.#groups.pop()
    if (last === undefined || last === group) return
    // The last group moves to the free index.
    this.#groups[group.place] = last
    last.place = group.place
  }

  #export(span: ReadableSpan, cause: KeepCause = 'sampled'): void {
    const { exports } = this.#options
    if (exports.length === 0) return
    const exported = cause === 'sampled' ? span : asKept(span)
    for (const processor of exports) processor.onEnd(exported)
  }

  #lose(what: Loss): void {
    this.#counts.lost.set(what, (this.#counts.lost.get(what) ?? 0) + 1)
  }
}

/** Why a trace was not kept. `rate`: above the rate of its route and reason; `groups`, `spans`: above those limits. */
type Loss = 'rate' | 'groups' | 'spans'

const NO_SPANS: ReadableSpan[] = []

function groupOf(span: object | undefined): Group | undefined {
  const grouped: Grouped | undefined = span
  return grouped?.[GROUP]
}

/** Whether an ended SERVER span is marked as not kept; needs no lookup. */
export function isDropped(span: object): boolean {
  const group = groupOf(span)
  return group?.root === span && group.state === 'decided' && group.kept === undefined
}

function isLocalRoot({ parentSpanContext }: ReadableSpan): boolean {
  return parentSpanContext === undefined || parentSpanContext.isRemote === true
}

function isSampled(span: ReadableSpan): boolean {
  return (span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0
}

/**
 * A copy with the sampled flag, without which exporters drop a span, and with the threshold of what is kept in every
 * case: such a span stands for itself alone. Requests above the rate are exported only if the head sampler chose them, and
 * then stand for as many as its threshold says, so counts derived from the spans stay right.
 */
function asKept(span: ReadableSpan): ReadableSpan {
  const { traceState: before, ...others } = span.spanContext()
  const traceState = withThreshold(before, SAMPLES_ALL)
  const spanContext = {
    ...others,
    traceFlags: others.traceFlags | TraceFlags.SAMPLED,
    ...(traceState && { traceState }),
  }
  return Object.create(span, { spanContext: { value: () => spanContext } }) as ReadableSpan
}

/** A copy of an open span as if it ended now. */
function asUnfinished(span: ReadableSpan): ReadableSpan {
  const now = Date.now()
  const elapsedMs = Math.max(0, now - (span.startTime[0] * 1e3 + span.startTime[1] / 1e6))
  return Object.create(span, {
    endTime: { value: [Math.floor(now / 1e3), (now % 1e3) * 1e6] },
    duration: { value: [Math.floor(elapsedMs / 1e3), Math.floor((elapsedMs % 1e3) * 1e6)] },
    ended: { value: true },
    attributes: { value: { ...span.attributes, [ATTR_UNFINISHED]: true } },
  }) as ReadableSpan
}

function attributesOf(cause: string): Attributes {
  return { 'gateway.traces.cause': cause }
}

function observeAll<Key>(counts: ReadonlyMap<Key, number>, observe: (count: number, key: Key) => void): void {
  for (const [key, count] of counts) observe(count, key)
}
