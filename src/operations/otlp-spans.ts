import { attribute, type ShownAttribute, type ShownSpan } from '../pages/shown-span'

const KINDS = ['internal', 'internal', 'server', 'client', 'producer', 'consumer'] as const
const STATUS_ERROR = 2

/** Reads the spans of the gateway's own recorder. Omits missing values. */
export function readSpans(otlpJson: string): ShownSpan[] {
  const { resourceSpans = [] } = JSON.parse(otlpJson) as OtlpTraces
  return resourceSpans.flatMap(({ resource, scopeSpans = [] }) => {
    const service = attribute(toAttributes(resource?.attributes), 'service.name') ?? ''
    return scopeSpans.flatMap(({ scope, spans = [] }) => spans.map(span => toSpan(span, service, scope?.name ?? '')))
  })
}

function toSpan(span: OtlpSpan, service: string, scope: string): ShownSpan {
  const startMs = milliseconds(span.startTimeUnixNano)
  return {
    spanId: span.spanId,
    parentSpanId: span.parentSpanId || undefined,
    name: span.name,
    kind: KINDS[span.kind] ?? 'internal',
    service,
    scope,
    startMs,
    durationMs: Math.max(0, milliseconds(span.endTimeUnixNano) - startMs),
    isError: span.status?.code === STATUS_ERROR,
    statusMessage: span.status?.message,
    attributes: toAttributes(span.attributes),
    events: (span.events ?? []).map(({ name, timeUnixNano, attributes }) => ({
      name,
      atMs: milliseconds(timeUnixNano),
      attributes: toAttributes(attributes),
    })),
  }
}

/** Whole nanoseconds since the epoch do not fit into a number. */
function milliseconds(nanoseconds: string | number | undefined): number {
  const value = BigInt(nanoseconds ?? 0)
  return Number(value / 1_000_000n) + Number(value % 1_000_000n) / 1e6
}

function toAttributes(attributes: readonly OtlpAttribute[] = []): ShownAttribute[] {
  return attributes.map(({ key, value }): ShownAttribute => [key, toText(value)]).sort(([a], [b]) => (a < b ? -1 : 1))
}

function toText(value: OtlpValue): string {
  const [content] = Object.values(value)
  return typeof content === 'string' ? content : JSON.stringify(content)
}

interface OtlpTraces {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: readonly OtlpAttribute[] }
    readonly scopeSpans?: readonly {
      readonly scope?: { readonly name?: string }
      readonly spans?: readonly OtlpSpan[]
    }[]
  }[]
}

interface OtlpSpan {
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly status?: { readonly code?: number; readonly message?: string }
  readonly attributes?: readonly OtlpAttribute[]
  readonly events?: readonly {
    readonly name: string
    readonly timeUnixNano: string
    readonly attributes?: readonly OtlpAttribute[]
  }[]
}

interface OtlpAttribute {
  readonly key: string
  readonly value: OtlpValue
}

/** An OTLP value, such as `{ stringValue: … }`. */
type OtlpValue = Readonly<Record<string, unknown>>
