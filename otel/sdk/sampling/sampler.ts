import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  createAlwaysRecordSampler,
  ParentBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace'
import { composableProbability, CompositeSampler } from './composite-sampler'

export interface SamplerSettings {
  /** `OTEL_TRACES_SAMPLER`. */
  readonly name: string
  /** `OTEL_TRACES_SAMPLER_ARG`: traces to keep, as a fraction. */
  readonly ratio: number
}

/**
 * The head sampler set in the environment, changed to record every span: whether a request failed or was slow is known
 * only at its end (`kept-traces/`). The sampled flag sent to the upstream is still the head sampler's decision.
 */
export function createSampler(head: Sampler): Sampler {
  return createAlwaysRecordSampler(head)
}

/**
 * The sampler of `OTEL_TRACES_SAMPLER`. A ratio writes its threshold into `tracestate`, which the SDK's own does not.
 */
export function headSampler({ name, ratio }: SamplerSettings): Sampler {
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler()
    case 'always_off':
      return new AlwaysOffSampler()
    case 'traceidratio':
      return probabilitySampler(ratio)
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() })
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: probabilitySampler(ratio) })
    default:
      return new ParentBasedSampler({ root: new AlwaysOnSampler() })
  }
}

export function probabilitySampler(ratio: number): Sampler {
  return new CompositeSampler(composableProbability(ratio))
}
