import type { SpanLimits } from '@opentelemetry/sdk-trace'

/** Of everything that can be counted, by the OpenTelemetry specification. */
const COUNT = 128
/** Characters of one attribute. The specification sets no bound, and clients choose paths and user agents. */
const ATTRIBUTE_LENGTH = 4_096

/** What a span may hold: as the environment says (`settings.ts` has checked it), else the defaults. */
export function spanLimits(environment: Readonly<Record<string, string | undefined>>): Required<SpanLimits> {
  const first = (...names: string[]): number | undefined => {
    const text = names.map(name => environment[name]?.trim()).find(Boolean)
    return text === undefined ? undefined : Number(text)
  }
  const length = first('OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT', 'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT')
  return {
    attributeCountLimit: first('OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', 'OTEL_ATTRIBUTE_COUNT_LIMIT') ?? COUNT,
    // The SDK takes 0 for a mistake, and for no limit.
    attributeValueLengthLimit: length === 0 ? Infinity : (length ?? ATTRIBUTE_LENGTH),
    eventCountLimit: first('OTEL_SPAN_EVENT_COUNT_LIMIT') ?? COUNT,
    linkCountLimit: first('OTEL_SPAN_LINK_COUNT_LIMIT') ?? COUNT,
    attributePerEventCountLimit: first('OTEL_SPAN_ATTRIBUTE_PER_EVENT_COUNT_LIMIT') ?? COUNT,
    attributePerLinkCountLimit: first('OTEL_SPAN_ATTRIBUTE_PER_LINK_COUNT_LIMIT') ?? COUNT,
  }
}
