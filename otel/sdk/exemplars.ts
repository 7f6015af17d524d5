import {
  trace,
  type Attributes,
  type Context,
  type Counter,
  type Histogram,
  type Meter,
  type MeterProvider,
  type Span,
  type SpanContext,
} from '@opentelemetry/api'

/** A request that contributed to a number: its trace, value and time. */
export interface Exemplar {
  readonly traceId: string
  readonly spanId: string
  readonly value: number
  readonly timeMs: number
}

/** Returns the exemplar of each exposition line; `bucket` is the index of a histogram's bucket, 0 for a counter. */
export interface ExemplarSource {
  exemplar(instrument: string, attributes: Attributes, bucket: number): Exemplar | undefined
  /** Those of all buckets. */
  exemplars(instrument: string, attributes: Attributes): readonly Exemplar[]
}

const NONE: readonly Exemplar[] = []
export const NO_EXEMPLARS: ExemplarSource = { exemplar: () => undefined, exemplars: () => NONE }

/** The instruments that are recorded after it is decided whether the request is kept. */
const WITH_EXEMPLARS: ReadonlySet<string> = new Set([
  'http.server.request.duration',
  'gateway.requests',
  'gateway.rate_limiting.requests',
])

/**
 * Exemplars, which the SDK does not have: the newest kept request of each bucket and counter. They refer only to
 * requests that are kept and are removed with them, so every exposed exemplar can be opened.
 *
 * The key is the attribute object itself: the gateway creates one per series and the SDK returns the same object. Their
 * number is bounded by series times buckets.
 */
export class Exemplars implements ExemplarSource {
  readonly #isKept: (span: Pick<SpanContext, 'traceId' | 'spanId'>) => boolean
  readonly #isDropped: (span: Span) => boolean
  readonly #byInstrument = new Map<string, WeakMap<Attributes, (Exemplar | undefined)[]>>()

  /**
   * @param isKept whether the request with this SERVER span can still be opened
   * @param isDropped cheap check whether it is certain that the request was not kept, as nearly all are not
   */
  constructor(
    isKept: (span: Pick<SpanContext, 'traceId' | 'spanId'>) => boolean,
    isDropped: (span: Span) => boolean = () => false,
  ) {
    this.#isKept = isKept
    this.#isDropped = isDropped
  }

  exemplar(instrument: string, attributes: Attributes, bucket: number): Exemplar | undefined {
    const found = this.#byInstrument.get(instrument)?.get(attributes)?.[bucket]
    return found && this.#isKept(found) ? found : undefined
  }

  exemplars(instrument: string, attributes: Attributes): readonly Exemplar[] {
    const found = this.#byInstrument.get(instrument)?.get(attributes)
    if (found === undefined) return NONE
    return found.filter((exemplar): exemplar is Exemplar => exemplar !== undefined && this.#isKept(exemplar))
  }

  /** Wraps a provider so that the chosen instruments record exemplars here; everything else is passed through. */
  watch(provider: MeterProvider): MeterProvider {
    return {
      getMeter: (name, version, options) => this.#watchMeter(provider.getMeter(name, version, options)),
    }
  }

  #watchMeter(meter: Meter): Meter {
    // Delegates to the meter: the other nine methods stay unchanged.
    const watched = Object.create(meter) as Meter
    watched.createHistogram = (name, options) => {
      const histogram = meter.createHistogram(name, options)
      const boundaries = options?.advice?.explicitBucketBoundaries
      return WITH_EXEMPLARS.has(name) && boundaries ? this.#watchHistogram(name, histogram, boundaries) : histogram
    }
    watched.createCounter = (name, options) => {
      const counter = meter.createCounter(name, options)
      return WITH_EXEMPLARS.has(name) ? this.#watchCounter(name, counter) : counter
    }
    return watched
  }

  #watchHistogram(name: string, histogram: Histogram, boundaries: readonly number[]): Histogram {
    return {
      record: (value, attributes, context) => {
        histogram.record(value, attributes, context)
        if (context && attributes) this.#offer(name, attributes, bucketOf(value, boundaries), value, context)
      },
    }
  }

  #watchCounter(name: string, counter: Counter): Counter {
    return {
      add: (value, attributes, context) => {
        counter.add(value, attributes, context)
        if (context && attributes) this.#offer(name, attributes, 0, value, context)
      },
    }
  }

  #offer(name: string, attributes: Attributes, bucket: number, value: number, context: Context): void {
    const recording = trace.getSpan(context)
    if (recording === undefined || this.#isDropped(recording)) return
    const span = recording.spanContext()
    if (!this.#isKept(span)) return
    let series = this.#byInstrument.get(name)
    if (!series) this.#byInstrument.set(name, (series = new WeakMap()))
    let buckets = series.get(attributes)
    if (!buckets) series.set(attributes, (buckets = []))
    buckets[bucket] = { traceId: span.traceId, spanId: span.spanId, value, timeMs: Date.now() }
  }
}

/** The first bucket whose upper boundary is not below the value; after the last boundary comes +Inf. */
function bucketOf(value: number, boundaries: readonly number[]): number {
  let index = 0
  while (index < boundaries.length && value > (boundaries[index] as number)) index++
  return index
}
