import type { TextMapPropagator } from '@opentelemetry/api'
import { CompositePropagator } from '@opentelemetry/core'
import { AWSXRayPropagator } from '@opentelemetry/propagator-aws-xray'
import { B3InjectEncoding, B3Propagator } from '@opentelemetry/propagator-b3'
import type { PropagatorName } from '../settings'
import { BaggagePropagator } from './baggage'
import { TraceContextPropagator } from './trace-context'

/** Creates the propagator of trace context. @returns null for `none`: the caller's fields pass unchanged */
export function createPropagator(
  names: readonly PropagatorName[],
  baggageKeys: readonly string[] | undefined,
): TextMapPropagator | null {
  const propagators = names.flatMap(name => MAKERS[name](baggageKeys) ?? [])
  return propagators.length === 0 ? null : new CompositePropagator({ propagators })
}

const MAKERS: Record<PropagatorName, (baggageKeys: readonly string[] | undefined) => TextMapPropagator | undefined> = {
  tracecontext: () => new TraceContextPropagator(),
  baggage: baggageKeys => new BaggagePropagator(baggageKeys),
  b3: () => new B3Propagator(),
  b3multi: () => new B3Propagator({ injectEncoding: B3InjectEncoding.MULTI_HEADER }),
  xray: () => new AWSXRayPropagator(),
  none: () => undefined,
}
