import { trace, TraceFlags, type Attributes, type Context, type Meter } from '@opentelemetry/api'
import type { ReadableSpan, Span, SpanProcessor } from '@opentelemetry/sdk-trace'
import { KeepBudget } from './keep-budget'
import { ATTR_REASON, ATTR_ROUTE, ATTR_STREAM, keepCause, textOf, type KeepCause } from './keep-cause'
import type { KeptRequest, Recorder } from './recorder'

export interface KeptTracesOptions {
  /** Requests that took longer are kept, in milliseconds. */
  readonly slowMs: number
  /** Traces kept per second for each route and reason. */
  readonly perSecond: number
  /** Where kept spans leave: batch processors and the like. */
  readonly exports: readonly SpanProcessor[]
  readonly recorder: Recorder
  readonly bounds?: Partial<KeptTracesBounds>
  /** Milliseconds of any monotonic clock. */
  readonly now?: () => number
}

/**
 * What may wait in memory for its request to end. A span's own size is bounded by the limit on the length of its
 * attributes (`start.ts`), so that the number of spans bounds the bytes: some 2 kB each as a rule.
 */
export interface KeptTracesBounds {
  /** Requests under way whose spans are held. Of those above it only the SERVER span can be kept. */
  readonly maxGroups: number
  /** Spans held for one request; later ones go the ordinary way, so that only sampled ones leave. */
  readonly maxSpansPerGroup: number
  /** Spans held for all requests together. */
  readonly maxSpans: number
  /** A request that is still open after so many milliseconds is told about as it is, marked as unfinished. */
  readonly maxAgeMs: number
}

const BOUNDS: KeptTracesBounds = { maxGroups: 10_000, maxSpansPerGroup: 128, maxSpans: 50_000, maxAgeMs: 10 * 60_000 }
const SWEEP_INTERVAL_MS = 10_000
/**
 * Of merely sampled requests the recorder takes so many per second and route; all of them are exported. Else at 100 % its
 * window would be a second long under load, and holding what is pushed out again at once costs a tenth of a request.
 */
const RECORDED_SAMPLED_PER_SECOND = 20

/** Attribute of a root that was told about before it ended. */
export const ATTR_UNFINISHED = 'gateway.trace.unfinished'

/**
 * The spans of one request in this process: its local root and everything below. A class, because V8 may put the objects of
 * a literal straight into the old generation, where they would hold their spans until the next full garbage collection.
 */
class Group {
  /** Index among the undecided ones. */
  place = -1
  /** Those that have ended; emptied when the group is given up. */
  spans: ReadableSpan[] = []
  /** `released`: held for too long, its spans go the ordinary way from now on. */
  state: 'undecided' | 'decided' | 'released' = 'undecided'
  cause: KeepCause | undefined
  /** In the recorder. */
  kept: KeptRequest | undefined

  constructor(
    readonly root: ReadableSpan,
    readonly startedAt: number,
  ) {}
}

/** On the span objects themselves: a map by span id would keep what never ends for ever. */
const GROUP = Symbol('group')
interface Grouped {
  [GROUP]?: Group
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
  readonly #bounds: KeptTracesBounds
  readonly #now: () => number
  readonly #budget: KeepBudget
  readonly #recorded = new KeepBudget(RECORDED_SAMPLED_PER_SECOND)
  /**
   * Undecided groups. Not a `Set`: V8's leaves a chain of outgrown tables behind as members come and go, and once a full
   * garbage collection has moved one of these to the old generation, every later group outlives its own collection.
   */
  readonly #groups: Group[] = []
  /** Spans of undecided groups. */
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

  /** What waits at this moment. */
  get pending(): { readonly groups: number; readonly spans: number } {
    return { groups: this.#groups.length, spans: this.#held }
  }

  onStart(span: Span, context: Context): void {
    const group = isLocalRoot(span) ? this.#newGroup(span) : groupOf(trace.getSpan(context))
    if (group) (span as Grouped)[GROUP] = group
  }

  onEnding(): void {
    // Nothing: attributes may still change.
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
    for (const group of this.#groups.slice()) this.#tellUnfinished(group) // which takes it out
    await Promise.all(this.#options.exports.map(processor => processor.shutdown()))
  }

  /** Lets go of what has been under way for too long. */
  sweep(): void {
    const now = this.#now()
    const tooOld = this.#groups.filter(group => now - group.startedAt >= this.#bounds.maxAgeMs)
    for (const group of tooOld) this.#tellUnfinished(group)
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
    const pending = meter.createObservableGauge('gateway.traces.pending', {
      unit: '{trace}',
      description: 'Requests under way whose spans are held until it is known how they end',
    })
    kept.addCallback(result => observeAll(this.#counts.kept, (n, cause) => result.observe(n, attributesOf(cause))))
    lost.addCallback(result => observeAll(this.#counts.lost, (n, why) => result.observe(n, attributesOf(why))))
    held.addCallback(result => result.observe(this.#options.recorder.size))
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
    group.spans.length = 0 // wherever V8 has put the array, it is not to hold them any longer
  }

  /** A span that ended after its root, as a redis command of an aborted request may. */
  #endLate({ cause, kept }: Group, span: ReadableSpan): void {
    if (cause === undefined) return
    if (kept) this.#options.recorder.addLate(kept, span)
    this.#export(span)
  }

  /** A span whose group could not be held, or not for so long. A request is still judged, by its root alone. */
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

  /** @returns undefined where it is exported and not recorded */
  #keep(root: ReadableSpan, spans: readonly ReadableSpan[], cause: KeepCause): KeptRequest | undefined {
    this.#counts.kept.set(cause, (this.#counts.kept.get(cause) ?? 0) + 1)
    for (const span of spans) this.#export(span)
    if (cause === 'sampled' && !this.#recorded.take(textOf(root, ATTR_ROUTE) ?? '', cause, this.#now()))
      return undefined
    return this.#options.recorder.add(root, spans, cause)
  }

  /**
   * Tells what is known so far of a request that does not end, and holds nothing of it any longer. Its end, should it come,
   * is judged like any other. A stream is meant to last: only what was sampled is told.
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
    // The last one takes the free place.
    this.#groups[group.place] = last
    last.place = group.place
  }

  #export(span: ReadableSpan): void {
    const { exports } = this.#options
    if (exports.length === 0) return
    const exported = isSampled(span) ? span : asSampled(span)
    for (const processor of exports) processor.onEnd(exported)
  }

  #lose(what: Loss): void {
    this.#counts.lost.set(what, (this.#counts.lost.get(what) ?? 0) + 1)
  }
}

/** `rate`: over the rate of its route and reason; `groups`, `spans`: over those bounds. */
type Loss = 'rate' | 'groups' | 'spans'

const NO_SPANS: ReadableSpan[] = []

function groupOf(span: object | undefined): Group | undefined {
  const grouped: Grouped | undefined = span
  return grouped?.[GROUP]
}

/** Whether it is known of an ended SERVER span, without looking for it, that it was not kept. */
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
    attributes: { value: { ...span.attributes, [ATTR_UNFINISHED]: true } },
  }) as ReadableSpan
}

function attributesOf(cause: string): Attributes {
  return { 'gateway.traces.cause': cause }
}

function observeAll<Key>(counts: ReadonlyMap<Key, number>, observe: (count: number, key: Key) => void): void {
  for (const [key, count] of counts) observe(count, key)
}
