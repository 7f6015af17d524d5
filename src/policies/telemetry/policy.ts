import { trace, type Span } from '@opentelemetry/api'
import { mistake } from '../../config/values/parsed'
import type { Exchange, Stage } from '../../exchange/exchange'
import { definePolicy } from '../define-policy'
import { telemetrySchema, type TelemetryConfig } from './schema'

/**
 * Samples the traces of a route at its own rate. The route's setting replaces that of the entrypoint. The SERVER span has
 * started before the route is known, so it decides again here, before its context is passed on.
 */
export const telemetry = definePolicy({
  name: 'telemetry',
  schema: telemetrySchema('What is sampled of this route, instead of `entrypoint.telemetry`.').optional(),
  resolve: (own, { entrypoint }): TelemetryConfig | undefined => own ?? entrypoint.telemetry,
  check(own, context) {
    if (own === undefined || own.sample !== undefined || (own.rules?.length ?? 0) > 0) return []
    return [context.problemAtKey([], mistake('says nothing', 'sample, rules, or both'))]
  },
  create: config => ({ onRequest: sampleByRate(config) }),
  describe: config => [{ about: 'sampling', text: samplingText(config), subject: 'sampling' }],
})

/** A span of `otel/sdk/spans/gateway-span.ts`; spans of the stock instrumentation have no such method. */
interface SampledSpan extends Span {
  sampleAt?(ratio: number): void
}

function sampleByRate(config: TelemetryConfig): Stage {
  const { rules } = config
  if (rules === undefined || rules.length === 0) {
    const { sample } = config
    return function sampleRoute(exchange) {
      if (sample !== undefined) sampleAt(exchange, sample)
    }
  }
  return function sampleByRule(exchange) {
    const sample = rules.find(rule => isMatchedBy(rule, exchange))?.sample ?? config.sample
    if (sample !== undefined) sampleAt(exchange, sample)
  }
}

function sampleAt({ context }: Exchange, ratio: number): void {
  const span: SampledSpan | undefined = trace.getSpan(context)
  span?.sampleAt?.(ratio)
}

type Rule = NonNullable<TelemetryConfig['rules']>[number]

function isMatchedBy({ methods, headers }: Rule, { request }: Exchange): boolean {
  if (methods !== undefined && !methods.includes(request.method ?? '')) return false
  return headers.every(({ name, value }) => {
    const sent = request.headersDistinct[name]
    return sent?.length === 1 && sent[0] === value
  })
}

function samplingText({ sample, rules = [] }: TelemetryConfig): string {
  const parts = rules.map(({ methods = [], headers, sample: rate }) => {
    const conditions = [...methods, ...headers.map(({ name, value }) => `${name}: ${value}`)]
    return `${percent(rate)} of ${conditions.length === 0 ? 'all' : conditions.join(', ')}`
  })
  if (sample !== undefined) parts.push(parts.length === 0 ? `${percent(sample)} of traces` : `else ${percent(sample)}`)
  return parts.join('; ')
}

function percent(rate: number): string {
  return `${Number((rate * 100).toPrecision(6))} %`
}
