import { SpanKind } from '@opentelemetry/api'
import { AlwaysOffSampler, AlwaysOnSampler, ParentBasedSampler, type Sampler } from '@opentelemetry/sdk-trace'
import {
  composableAlwaysOff,
  composableAlwaysOn,
  composableParentThreshold,
  composableProbability,
  composableRules,
  CompositeSampler,
  type Beginning,
  type ComposableSampler,
  type SamplingRule,
} from '../sampling/composite-sampler'
import { probabilitySampler } from '../sampling/sampler'
import type { Section } from './section'

const SAMPLERS = [
  'always_on',
  'always_off',
  'parent_based',
  'trace_id_ratio_based',
  'probability/development',
  'composite/development',
]
const NOT_HERE = {
  'jaeger_remote/development':
    'no sampler for Node asks Jaeger any more; use parent_based with a ratio, or sample in a Collector',
}

/** The sampler of a map; without one, or where it is wrong, that of the specification's default. */
export function samplerIn(section: Section | undefined): Sampler {
  const found = section?.variant(SAMPLERS, NOT_HERE)
  if (found === undefined) return new ParentBasedSampler({ root: new AlwaysOnSampler() })
  const { name, section: settings } = found
  const sampler = ((): Sampler => {
    switch (name) {
      case 'always_off':
        return new AlwaysOffSampler()
      case 'parent_based':
        return parentBasedIn(settings)
      case 'trace_id_ratio_based':
      case 'probability/development':
        return probabilitySampler(ratioIn(settings))
      case 'composite/development':
        return new CompositeSampler(composableIn(settings))
      default:
        return new AlwaysOnSampler()
    }
  })()
  // A composite was read as a whole.
  if (name !== 'composite/development') settings.done()
  return sampler
}

function parentBasedIn(settings: Section): Sampler {
  const part = (key: string): Sampler | undefined => {
    const section = settings.section(key)
    return section === undefined || section.keys.length === 0 ? undefined : samplerIn(section)
  }
  const options = {
    remoteParentSampled: part('remote_parent_sampled'),
    remoteParentNotSampled: part('remote_parent_not_sampled'),
    localParentSampled: part('local_parent_sampled'),
    localParentNotSampled: part('local_parent_not_sampled'),
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, sampler]) => sampler !== undefined))
  return new ParentBasedSampler({ root: part('root') ?? new AlwaysOnSampler(), ...given })
}

function ratioIn(settings: Section): number {
  return settings.number('ratio', { min: 0, max: 1, whole: false }) ?? 1
}

function composableIn(section: Section): ComposableSampler {
  const found = section.variant(['always_on', 'always_off', 'probability', 'parent_threshold', 'rule_based'])
  if (found === undefined) return composableAlwaysOn()
  const { name, section: settings } = found
  const sampler = ((): ComposableSampler => {
    switch (name) {
      case 'always_off':
        return composableAlwaysOff()
      case 'probability':
        return composableProbability(ratioIn(settings))
      case 'parent_threshold': {
        const root = settings.section('root')
        if (root === undefined) settings.complain([], '"root" is missing', 'root: { always_on: }')
        return composableParentThreshold(root === undefined ? composableAlwaysOn() : composableIn(root))
      }
      case 'rule_based':
        return composableRules(settings.sections('rules').map(ruleIn))
      default:
        return composableAlwaysOn()
    }
  })()
  settings.done()
  return sampler
}

const KINDS: Readonly<Record<string, SpanKind>> = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
}

function ruleIn(rule: Section): SamplingRule {
  const kinds = rule.texts('span_kinds')?.map(kind => KINDS[kind])
  if (kinds?.includes(undefined)) rule.complain(['span_kinds'], 'a kind is not known', Object.keys(KINDS).join(', '))
  const parents = rule.texts('parent')
  if (parents?.some(parent => !['none', 'remote', 'local'].includes(parent)))
    rule.complain(['parent'], 'a kind of parent is not known', 'none, remote, local')
  // The request is not read yet when its span starts.
  const reason = 'the gateway samples before a span has attributes; telemetry.rules of gateway.yaml knows the request'
  for (const key of ['attribute_values', 'attribute_patterns']) rule.refuse(key, reason)
  const sampler = rule.section('sampler')
  if (sampler === undefined) rule.complain([], '"sampler" is missing', 'sampler: { probability: { ratio: 0.1 } }')
  const found = { sampler: sampler === undefined ? composableAlwaysOff() : composableIn(sampler) }
  rule.done()
  return {
    ...found,
    matches: ({ kind, parent }: Beginning) =>
      (kinds === undefined || kinds.includes(kind)) &&
      (parents === undefined ||
        parents.includes(parent === undefined ? 'none' : parent.isRemote === true ? 'remote' : 'local')),
  }
}
