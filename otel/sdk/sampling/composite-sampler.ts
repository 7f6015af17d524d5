import { trace, TraceFlags, type Attributes, type Context, type SpanContext, type SpanKind } from '@opentelemetry/api'
import { SamplingDecision, type Sampler, type SamplingResult } from '@opentelemetry/sdk-trace'
import { readOtelTraceState, withThreshold } from './otel-trace-state'
import { isSampledBy, randomnessOf, SAMPLES_ALL, thresholdOf, type Threshold } from './threshold'

/** What a composable sampler is asked about a span that starts. */
export interface Beginning {
  readonly kind: SpanKind
  readonly attributes: Attributes
  readonly parent: SpanContext | undefined
}

/** What a composable sampler wants. */
export interface Intent {
  /** Undefined: do not sample. */
  readonly threshold: Threshold | undefined
  /** Whether counts may be derived from it; if not, no threshold is written. */
  readonly isReliable: boolean
}

/** A part of a composite sampler: it names a threshold, and only the composite decides. */
export interface ComposableSampler {
  intent(beginning: Beginning): Intent
  describe(): string
}

const NEVER: Intent = { threshold: undefined, isReliable: false }

export function composableAlwaysOn(): ComposableSampler {
  const intent = { threshold: SAMPLES_ALL, isReliable: true }
  return { intent: () => intent, describe: () => 'always_on' }
}

export function composableAlwaysOff(): ComposableSampler {
  return { intent: () => NEVER, describe: () => 'always_off' }
}

export function composableProbability(ratio: number): ComposableSampler {
  const threshold = thresholdOf(ratio)
  const intent = threshold === undefined ? NEVER : { threshold, isReliable: true }
  return { intent: () => intent, describe: () => `probability{${ratio}}` }
}

/** Follows the parent, also in its threshold; asks `root` where there is no parent. */
export function composableParentThreshold(root: ComposableSampler): ComposableSampler {
  return {
    intent(beginning) {
      const { parent } = beginning
      if (parent === undefined) return root.intent(beginning)
      const isSampled = (parent.traceFlags & TraceFlags.SAMPLED) !== 0
      const { threshold, randomness } = readOtelTraceState(parent.traceState)
      if (threshold !== undefined) {
        // A threshold that contradicts the flag says nothing about how the trace was sampled.
        const isConsistent = isSampled === isSampledBy(threshold, randomnessOf(parent.traceId, randomness))
        if (isConsistent) return { threshold, isReliable: true }
      }
      return isSampled ? { threshold: SAMPLES_ALL, isReliable: false } : NEVER
    },
    describe: () => `parent_threshold{root=${root.describe()}}`,
  }
}

export interface SamplingRule {
  readonly matches: (beginning: Beginning) => boolean
  readonly sampler: ComposableSampler
}

/** Asks the sampler of the first rule that matches; without one, the span is not sampled. */
export function composableRules(rules: readonly SamplingRule[]): ComposableSampler {
  return {
    intent: beginning => rules.find(rule => rule.matches(beginning))?.sampler.intent(beginning) ?? NEVER,
    describe: () => `rule_based{${rules.map(rule => rule.sampler.describe()).join(', ')}}`,
  }
}

/**
 * Decides by consistent probability and writes the threshold into `tracestate`, so that counts can be derived from
 * sampled spans. No package of OpenTelemetry for Node has it for this SDK.
 */
export class CompositeSampler implements Sampler {
  readonly #root: ComposableSampler

  constructor(root: ComposableSampler) {
    this.#root = root
  }

  shouldSample(
    context: Context,
    traceId: string,
    _name: string,
    kind: SpanKind,
    attributes: Attributes,
  ): SamplingResult {
    const found = trace.getSpanContext(context)
    const parent = found?.traceId === traceId ? found : undefined
    const { threshold, isReliable } = this.#root.intent({ kind, attributes, parent })
    const state = parent?.traceState
    const { randomness } = readOtelTraceState(state)
    const isSampled = isSampledBy(threshold, randomnessOf(traceId, randomness))
    const traceState = withThreshold(state, isSampled && isReliable ? threshold : undefined)
    return {
      decision: isSampled ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD,
      ...(traceState && { traceState }),
    }
  }

  toString(): string {
    return `composite{${this.#root.describe()}}`
  }
}
