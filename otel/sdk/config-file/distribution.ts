import { INSTRUMENTATION_NAMES } from '../instrumentation-names'
import type { Section } from './section'

/** The key under `distribution`, where the schema has room for what one distribution adds. */
export const GATEWAY_KEY = 'myesi-gateway'

/**
 * What the gateway adds, as the variables that say the same, so that there is one reading of each. The file wins over a
 * variable.
 */
export function gatewayVariables(section: Section): Record<string, string> {
  const kept = section.section('kept_traces')
  const instrumentations = section.section('instrumentations')
  const found: Record<string, string | undefined> = {
    TRACES_SLOW_MS: kept?.number('slow_ms', { min: 1 })?.toString(),
    TRACES_KEEP_PER_SECOND: kept?.number('per_second', { min: 0, whole: false })?.toString(),
    TELEMETRY_HTTP_INSTRUMENTATION: section.oneOf('http_instrumentation', ['own', 'stock']),
    TELEMETRY_BODY_SIZES: section.boolean('body_sizes')?.toString(),
    TELEMETRY_NATIVE_HISTOGRAMS: section.boolean('native_histograms')?.toString(),
    TELEMETRY_BAGGAGE_KEYS: section.texts('baggage_keys')?.join(','),
    OTEL_NODE_ENABLED_INSTRUMENTATIONS: namesIn(instrumentations, 'enabled'),
    OTEL_NODE_DISABLED_INSTRUMENTATIONS: namesIn(instrumentations, 'disabled'),
  }
  kept?.done()
  instrumentations?.done()
  section.done()
  return Object.fromEntries(Object.entries(found).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

function namesIn(section: Section | undefined, key: string): string | undefined {
  const names = section?.texts(key)
  const unknown = names?.filter(name => !INSTRUMENTATION_NAMES.includes(name)) ?? []
  if (unknown.length > 0)
    section?.complain([key], `"${unknown.join('", "')}" is not known`, INSTRUMENTATION_NAMES.join(', '))
  return names?.join(',')
}
