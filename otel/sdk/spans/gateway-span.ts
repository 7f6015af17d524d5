import {
  SpanStatusCode,
  TraceFlags,
  type Attributes,
  type AttributeValue,
  type HrTime,
  type Link,
  type Span,
  type SpanContext,
  type SpanKind,
  type SpanStatus,
} from '@opentelemetry/api'
import { addHrTimes, cleanAttributes, millisToHrTime, type InstrumentationScope } from '@opentelemetry/core'
import type { Resource } from '@opentelemetry/resources'
import type { ReadableSpan, SpanLimits, SpanProcessor, TimedEvent } from '@opentelemetry/sdk-trace'
import {
  ATTR_EXCEPTION_MESSAGE,
  ATTR_EXCEPTION_STACKTRACE,
  ATTR_EXCEPTION_TYPE,
} from '@opentelemetry/semantic-conventions'
import { withThreshold } from '../sampling/otel-trace-state'
import { isSampledBy, randomnessOf, thresholdOf, type Threshold } from '../sampling/threshold'

/** Values that all spans of a tracer share. */
export interface SpanMaker {
  readonly resource: Resource
  readonly scope: InstrumentationScope
  readonly limits: Required<SpanLimits>
  readonly processor: Pick<SpanProcessor, 'onStart' | 'onEnd'>
}

/**
 * A span of the gateway itself; each request has two. Readers see the same as with an SDK span. It costs a quarter of
 * one, because the gateway's attributes are only strings and numbers: the SDK checks each value for cycles and computes
 * times that are not read when the span is dropped.
 *
 * There are no `#private` fields, because an exported span may be an object that inherits from this one
 * (`kept-traces.ts`).
 */
export class GatewaySpan implements Span, ReadableSpan {
  readonly attributes: Attributes = {}
  status: SpanStatus = UNSET
  events: TimedEvent[] = NO_EVENTS
  ended = false
  droppedAttributesCount = 0
  droppedEventsCount = 0
  readonly startedAtMs = Date.now()
  /** Start on the monotonic clock, as for all measurements. */
  readonly startedAt = performance.now()
  endedAt = 0
  attributesSet = 0
  readonly parentSpanContext?: SpanContext

  constructor(
    readonly maker: SpanMaker,
    public name: string,
    readonly kind: SpanKind,
    public context: SpanContext,
    parent: SpanContext | undefined,
  ) {
    if (parent !== undefined) this.parentSpanContext = parent
  }

  get resource(): Resource {
    return this.maker.resource
  }

  get instrumentationScope(): InstrumentationScope {
    return this.maker.scope
  }

  get startTime(): HrTime {
    return millisToHrTime(this.startedAtMs)
  }

  get endTime(): HrTime {
    return this.ended ? addHrTimes(this.startTime, this.duration) : [0, 0]
  }

  /** The duration; negative until the span ends, as in the SDK. */
  get duration(): HrTime {
    return this.ended ? millisToHrTime(this.endedAt - this.startedAt) : [-1, -1]
  }

  get links(): Link[] {
    return NO_LINKS
  }

  get droppedLinksCount(): number {
    return 0
  }

  spanContext(): SpanContext {
    return this.context
  }

  isRecording(): boolean {
    return !this.ended
  }

  /**
   * Decides again whether the trace is sampled, with the rate of its route, which is known only after the span has
   * started. A trace that another service began keeps that service's decision. Must be called before the context is
   * passed on.
   */
  sampleAt(ratio: number): void {
    if (this.ended || this.parentSpanContext !== undefined) return
    const { traceId, spanId, traceFlags } = this.context
    const threshold = cachedThresholdOf(ratio)
    const isSampled = isSampledBy(threshold, randomnessOf(traceId, undefined))
    const traceState = isSampled ? withThreshold(undefined, threshold) : undefined
    this.context = {
      traceId,
      spanId,
      traceFlags: isSampled ? traceFlags | TraceFlags.SAMPLED : traceFlags & ~TraceFlags.SAMPLED,
      ...(traceState && { traceState }),
    }
  }

  setAttribute(key: string, value: AttributeValue): this {
    if (this.ended || value === undefined) return this
    const { attributeCountLimit, attributeValueLengthLimit } = this.maker.limits
    // Attributes that are set again count too: the exact number matters only above the limit.
    if (++this.attributesSet > attributeCountLimit && isFullFor(this.attributes, key, attributeCountLimit)) {
      this.droppedAttributesCount++
      return this
    }
    this.attributes[key] = bounded(value, attributeValueLengthLimit)
    return this
  }

  setAttributes(attributes: Attributes): this {
    for (const key in attributes) this.setAttribute(key, attributes[key])
    return this
  }

  setStatus(status: SpanStatus): this {
    if (!this.ended && status.code !== SpanStatusCode.UNSET && this.status.code !== SpanStatusCode.OK)
      this.status = status
    return this
  }

  updateName(name: string): this {
    if (!this.ended) this.name = name
    return this
  }

  /** Adds an event with the current time: event times cannot be set. */
  addEvent(name: string, attributes?: Attributes): this {
    if (this.ended) return this
    const { eventCountLimit, attributePerEventCountLimit, attributeValueLengthLimit } = this.maker.limits
    const limits = { attributeCountLimit: attributePerEventCountLimit, attributeValueLengthLimit }
    const time = addHrTimes(this.startTime, millisToHrTime(performance.now() - this.startedAt))
    const kept = [...this.events, { name, time, ...cleanAttributes(attributes, limits) }]
    this.events = eventCountLimit === 0 ? NO_EVENTS : kept.slice(-eventCountLimit) // the newest ones
    this.droppedEventsCount += kept.length - this.events.length
    return this
  }

  /** Records an exception by the semantic conventions; an error's code is more specific than its class. */
  recordException(exception: Error): void {
    const { code, name, message, stack }: Error & { readonly code?: unknown } = exception
    this.addEvent('exception', {
      [ATTR_EXCEPTION_TYPE]: typeof code === 'string' ? code : name,
      [ATTR_EXCEPTION_MESSAGE]: message,
      ...(stack !== undefined && { [ATTR_EXCEPTION_STACKTRACE]: stack }),
    })
  }

  /** Adds no link: a request has one parent. */
  addLink(): this {
    return this
  }

  addLinks(): this {
    return this
  }

  /** Ends the span now, by its own clock. */
  end(): void {
    if (this.ended) return
    this.endedAt = performance.now()
    this.ended = true
    this.maker.processor.onEnd(this)
  }
}

const UNSET: SpanStatus = { code: SpanStatusCode.UNSET }
const NO_EVENTS: TimedEvent[] = []
const NO_LINKS: Link[] = []

/** Bound of the cache below; there is one rate for each route and rule. */
const MOST_RATIOS = 1_000
const thresholds = new Map<number, Threshold | undefined>()

function cachedThresholdOf(ratio: number): Threshold | undefined {
  if (thresholds.has(ratio)) return thresholds.get(ratio)
  const threshold = thresholdOf(ratio)
  if (thresholds.size >= MOST_RATIOS) thresholds.clear()
  thresholds.set(ratio, threshold)
  return threshold
}

function isFullFor(attributes: Attributes, key: string, limit: number): boolean {
  return !Object.hasOwn(attributes, key) && Object.keys(attributes).length >= limit
}

function bounded(value: AttributeValue, limit: number): AttributeValue {
  if (typeof value === 'string') return value.length > limit ? value.slice(0, limit) : value
  if (typeof value !== 'object') return value
  return cleanAttributes({ value }, { attributeCountLimit: 1, attributeValueLengthLimit: limit }).attributes?.['value']
}
