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
 * The head sampler the environment asks for, made to record everything all the same: whether a request failed or was
 * slow is known at its end only (`kept-traces/`). The flag that travels on to the upstream is the head sampler's alone.
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
