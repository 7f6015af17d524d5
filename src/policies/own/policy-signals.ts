import type { Attributes, Counter } from '@opentelemetry/api'
import { isSpanContextValid, trace } from '@opentelemetry/api'
import type { Exchange } from '../../exchange/exchange'
import type { Logger } from '../../telemetry/logger'
import { gatewayMeter } from '../../telemetry/scope'
import type { LogLevel, PolicySignals, SignalAttributes } from '../policy-context'

/** Most counters of one policy, and most series of one counter: 1,000 series of a policy, whatever clients send. */
export const MAX_COUNTERS = 10
export const MAX_SERIES = 100
const MAX_ATTRIBUTES = 5
const MAX_VALUE_LENGTH = 100
/** Most log lines of a policy in a second: one at every request must not fill the log. */
const MAX_LINES_PER_SECOND = 20
const MAX_TEXT_LENGTH = 1_000
const MAX_FIELDS = 20

const COUNTER_NAME = /^[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+$/
const ATTRIBUTE_NAME = /^[a-z][a-z0-9_.]*$/
const MAX_NAME_LENGTH = 63
/** First words of names that belong to the gateway, the conventions or Prometheus. */
const RESERVED =
  /^(?:gateway|http|url|server|client|network|db|redis|rpc|nodejs|v8js|process|system|otel|target|scrape)\./
/** Attribute of the series that counts what is above `MAX_SERIES`; the name is that of the OpenTelemetry SDK. */
const OVERFLOW: Attributes = { 'otel.metric.overflow': true }

interface BoundedCounter {
  readonly counter: Counter
  /** Attributes that have a series. Bounded by `MAX_SERIES`. */
  readonly series: Set<string>
}

/** Counters by policy. They live as long as the process, as those of the SDK do. Bounded by the number of loaded modules. */
const countersOf = new Map<string, Map<string, BoundedCounter>>()

/** Counts and logs for one policy, within bounds. */
export class BoundedSignals implements PolicySignals {
  readonly #policy: string
  readonly #log: Logger
  readonly #counters: Map<string, BoundedCounter>
  #second = -1
  #lines = 0
  #suppressed = 0

  constructor(policy: string, log: Logger) {
    this.#policy = policy
    this.#log = log
    const counters = countersOf.get(policy) ?? new Map<string, BoundedCounter>()
    countersOf.set(policy, counters)
    this.#counters = counters
  }

  /** @throws for a name or a value that no counter can have: a mistake of the policy, which its first test shows */
  count({ context }: Exchange, name: string, attributes: SignalAttributes, value: number): void {
    if (!(value >= 0 && value < Infinity)) throw new Error(`count: ${value} is not a number from 0`)
    const { counter, series } = this.#counters.get(name) ?? this.#create(name)
    const cut = cutAttributes(attributes)
    const key = JSON.stringify(Object.entries(cut).sort(byName))
    if (!series.has(key)) {
      if (series.size === MAX_SERIES - 1) return counter.add(value, OVERFLOW, context)
      series.add(key)
    }
    counter.add(value, cut, context)
  }

  log({ context, requestId, route }: Exchange, level: LogLevel, message: string, fields: SignalAttributes): void {
    if (!this.#mayLog()) return
    const span = trace.getSpanContext(context)
    const entries = Object.entries(fields).slice(0, MAX_FIELDS)
    const data = Object.fromEntries(entries.map(([name, value]) => [name, cutText(value, MAX_TEXT_LENGTH)]))
    this.#log[level](
      {
        ...(span && isSpanContextValid(span) && { trace_id: span.traceId, span_id: span.spanId }),
        ...(requestId !== '' && { request_id: requestId }),
        event: 'policy_log',
        policy: this.#policy,
        ...(route && { route: route.name }),
        // Below a key of their own: they cannot replace fields of the gateway.
        ...(entries.length > 0 && { data }),
        ...(this.#suppressed > 0 && { suppressed: this.#suppressed }),
      },
      message.slice(0, MAX_TEXT_LENGTH),
    )
    this.#suppressed = 0
  }

  #mayLog(): boolean {
    const second = Math.floor(performance.now() / 1_000)
    if (second !== this.#second) {
      this.#second = second
      this.#lines = 0
    }
    if (++this.#lines <= MAX_LINES_PER_SECOND) return true
    this.#suppressed++
    return false
  }

  #create(name: string): BoundedCounter {
    if (!COUNTER_NAME.test(name) || name.length > MAX_NAME_LENGTH || RESERVED.test(name)) {
      throw new Error(`count: ${JSON.stringify(name)} is not a name of a counter, such as acme.tenant.requests`)
    }
    if (this.#counters.size === MAX_COUNTERS) throw new Error(`count: a policy has at most ${MAX_COUNTERS} counters`)
    const description = `Counted by the policy ${this.#policy}`
    const created = { counter: gatewayMeter().createCounter(name, { description }), series: new Set<string>() }
    this.#counters.set(name, created)
    return created
  }
}

function cutAttributes(attributes: SignalAttributes): Attributes {
  const cut: Attributes = {}
  const names = Object.keys(attributes)
  if (names.length > MAX_ATTRIBUTES) throw new Error(`count: at most ${MAX_ATTRIBUTES} attributes`)
  for (const name of names) {
    if (!ATTRIBUTE_NAME.test(name) || name.length > MAX_NAME_LENGTH) {
      throw new Error(`count: ${JSON.stringify(name)} is not a name of an attribute`)
    }
    cut[name] = cutText(attributes[name] as string, MAX_VALUE_LENGTH)
  }
  return cut
}

function cutText<T extends string | number | boolean>(value: T, length: number): T | string {
  return typeof value === 'string' ? value.slice(0, length) : value
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}
