import type { SpanLimits } from '@opentelemetry/sdk-trace'

/** Default limit of attributes, events and links in the OpenTelemetry specification. */
const COUNT = 128
/** Maximum characters of one attribute. The specification has no limit, and clients choose paths and user agents. */
const ATTRIBUTE_LENGTH = 4_096

/** The names of the specification, and those that the SDK for Node has for the same. */
const PER_EVENT = ['OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT', 'OTEL_SPAN_ATTRIBUTE_PER_EVENT_COUNT_LIMIT']
const PER_LINK = ['OTEL_LINK_ATTRIBUTE_COUNT_LIMIT', 'OTEL_SPAN_ATTRIBUTE_PER_LINK_COUNT_LIMIT']

export const DEFAULT_SPAN_LIMITS: Required<SpanLimits> = {
  attributeCountLimit: COUNT,
  attributeValueLengthLimit: ATTRIBUTE_LENGTH,
  eventCountLimit: COUNT,
  linkCountLimit: COUNT,
  attributePerEventCountLimit: COUNT,
  attributePerLinkCountLimit: COUNT,
}

/** The span limits set in the environment (checked in `settings.ts`), or the defaults. */
export function spanLimits(environment: Readonly<Record<string, string | undefined>>): Required<SpanLimits> {
  const first = (...names: string[]): number | undefined => {
    const text = names.map(name => environment[name]?.trim()).find(Boolean)
    return text === undefined ? undefined : Number(text)
  }
  const length = first('OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT', 'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT')
  return {
    attributeCountLimit: first('OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', 'OTEL_ATTRIBUTE_COUNT_LIMIT') ?? COUNT,
    // The SDK would treat 0 as a mistake and set no limit.
    attributeValueLengthLimit: length === 0 ? Infinity : (length ?? ATTRIBUTE_LENGTH),
    eventCountLimit: first('OTEL_SPAN_EVENT_COUNT_LIMIT') ?? COUNT,
    linkCountLimit: first('OTEL_SPAN_LINK_COUNT_LIMIT') ?? COUNT,
    attributePerEventCountLimit: first(...PER_EVENT) ?? COUNT,
    attributePerLinkCountLimit: first(...PER_LINK) ?? COUNT,
  }
}
