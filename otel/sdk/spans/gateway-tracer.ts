import {
  context as contexts,
  isSpanContextValid,
  SpanKind,
  trace,
  TraceFlags,
  type Context,
  type Span,
  type SpanContext,
  type SpanOptions,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api'
import { SamplingDecision, type Sampler } from '@opentelemetry/sdk-trace'
import { GatewaySpan, type SpanMaker } from './gateway-span'
import { randomId } from './random-ids'

/** The instrumentation scope of the spans created here, as `src/telemetry/semconv.ts` writes it. */
export const GATEWAY_SCOPE = 'myesi-gateway'

/** Creates the spans of the gateway's own scope; unusual ones are left to the SDK (`isUnusual`). */
export class GatewayTracer implements Tracer {
  readonly #sampler: Sampler
  readonly #maker: SpanMaker
  readonly #sdk: Tracer
  readonly startActiveSpan: Tracer['startActiveSpan']

  /** @param sampler must record every span (`sampler.ts`) */
  constructor(sampler: Sampler, maker: SpanMaker, sdk: Tracer) {
    this.#sampler = sampler
    this.#maker = maker
    this.#sdk = sdk
    this.startActiveSpan = sdk.startActiveSpan.bind(sdk)
  }

  startSpan(name: string, options: SpanOptions = {}, context: Context = contexts.active()): Span {
    if (isUnusual(options)) return this.#sdk.startSpan(name, options, context)
    const kind = options.kind ?? SpanKind.INTERNAL
    const parent = trace.getSpan(context)
    const span =
      parent instanceof GatewaySpan
        ? this.#childOf(parent.context, name, kind)
        : this.#localRoot(parent?.spanContext(), name, kind, context)
    this.#maker.processor.onStart(span, context)
    return span
  }

  /** Creates a span in the parent's trace with the parent's sampling decision, as every head sampler would decide. */
  #childOf(parent: SpanContext, name: string, kind: SpanKind): GatewaySpan {
    return new GatewaySpan(this.#maker, name, kind, { ...parent, spanId: randomId(8) }, parent)
  }

  #localRoot(parent: SpanContext | undefined, name: string, kind: SpanKind, context: Context): GatewaySpan {
    const continued = parent !== undefined && isSpanContextValid(parent) ? parent : undefined
    const traceId = continued?.traceId ?? randomId(16)
    const { decision, traceState = continued?.traceState } = this.#sampler.shouldSample(
      context,
      traceId,
      name,
      kind,
      NO_ATTRIBUTES,
      NO_LINKS,
    )
    const isSampled = decision === SamplingDecision.RECORD_AND_SAMPLED
    const spanContext: SpanContext = {
      traceId,
      spanId: randomId(8),
      // Whether the id is random is known only to its creator.
      traceFlags:
        (isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE) |
        (continued === undefined ? RANDOM : continued.traceFlags & RANDOM),
      ...(traceState && { traceState }),
    }
    return new GatewaySpan(this.#maker, name, kind, spanContext, continued)
  }
}

/** The random flag: W3C Trace Context, level 2, §3.2.2.5.2. */
const RANDOM = 0b10
const NO_ATTRIBUTES = {}
const NO_LINKS: [] = []

function isUnusual({ attributes, links, startTime, root }: SpanOptions): boolean {
  return attributes !== undefined || links !== undefined || startTime !== undefined || root === true
}

/** The SDK's provider with the gateway's own tracer for its scope. */
export function withGatewayTracer(sdk: TracerProvider, sampler: Sampler, maker: SpanMaker): TracerProvider {
  const { version, schemaUrl } = maker.scope
  const options = schemaUrl === undefined ? {} : { schemaUrl }
  const tracer = new GatewayTracer(sampler, maker, sdk.getTracer(GATEWAY_SCOPE, version, options))
  return {
    getTracer: (name, version, options) => (name === GATEWAY_SCOPE ? tracer : sdk.getTracer(name, version, options)),
  }
}
