import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  createAlwaysRecordSampler,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace'

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
export function createSampler({ name, ratio }: SamplerSettings): Sampler {
  return createAlwaysRecordSampler(headSampler(name, ratio))
}

function headSampler(name: string, ratio: number): Sampler {
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler()
    case 'always_off':
      return new AlwaysOffSampler()
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio)
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() })
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) })
    default:
      return new ParentBasedSampler({ root: new AlwaysOnSampler() })
  }
}
