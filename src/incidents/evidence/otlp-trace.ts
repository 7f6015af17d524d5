/**
 * The part of OTLP/JSON (opentelemetry-proto `TracesData`) that evidence reads. Comes from other processes, so all
 * fields are optional.
 */
interface OtlpTrace {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: readonly OtlpAttribute[] }
    readonly scopeSpans?: readonly { readonly spans?: readonly OtlpSpan[] }[]
  }[]
}

interface OtlpAttribute {
  readonly key: string
  readonly value?: { readonly stringValue?: string; readonly intValue?: number | string; readonly boolValue?: boolean }
}

interface OtlpSpan {
  readonly traceId?: string
  readonly spanId?: string
  readonly parentSpanId?: string
  readonly name?: string
  /** A number in OTLP/JSON; Tempo writes the name. */
  readonly kind?: number | string
  readonly startTimeUnixNano?: string
  readonly endTimeUnixNano?: string
  readonly attributes?: readonly OtlpAttribute[]
  readonly status?: { readonly code?: number | string; readonly message?: string }
  readonly events?: readonly { readonly name?: string; readonly attributes?: readonly OtlpAttribute[] }[]
}

export interface TraceSpan {
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly service: string
  readonly name: string
  readonly kind: 'server' | 'client' | 'other'
  readonly startMs: number
  readonly durationMs: number
  readonly isError: boolean
  readonly attributes: Readonly<Record<string, string>>
  /** Message of the first recorded exception. */
  readonly exception: string | undefined
}

/** Maximum spans read of one trace; bounds the cost of a hostile or runaway trace. */
const MAX_SPANS = 256

/** The spans of a trace in the order of their start. */
export function readSpans(trace: unknown): TraceSpan[] {
  return readSpansWithVersions(trace).map(({ span }) => span)
}

/** The same spans, each with the `service.version` of its resource. */
export function readSpansWithVersions(
  trace: unknown,
): { readonly span: TraceSpan; readonly version: string | undefined }[] {
  const spans: { span: TraceSpan; version: string | undefined }[] = []
  for (const { resource, scopeSpans } of (trace as OtlpTrace).resourceSpans ?? []) {
    const { 'service.name': service = 'unknown', 'service.version': version } = attributesOf(resource?.attributes)
    for (const { spans: found } of scopeSpans ?? []) {
      for (const span of found ?? []) if (spans.length < MAX_SPANS) spans.push({ span: toSpan(span, service), version })
    }
  }
  return spans.sort((a, b) => a.span.startMs - b.span.startMs)
}

const KINDS = new Map<number | string | undefined, TraceSpan['kind']>([
  [2, 'server'],
  ['SPAN_KIND_SERVER', 'server'],
  [3, 'client'],
  ['SPAN_KIND_CLIENT', 'client'],
])

function toSpan(span: OtlpSpan, service: string): TraceSpan {
  const startMs = Number(span.startTimeUnixNano ?? 0) / 1e6
  const exception = span.events?.find(({ name }) => name === 'exception')
  return {
    spanId: span.spanId ?? '',
    parentSpanId: span.parentSpanId === '' ? undefined : span.parentSpanId,
    service,
    name: span.name ?? '',
    kind: KINDS.get(span.kind) ?? 'other',
    startMs,
    durationMs: Math.max(0, Number(span.endTimeUnixNano ?? 0) / 1e6 - startMs),
    isError: span.status?.code === 2 || span.status?.code === 'STATUS_CODE_ERROR',
    attributes: attributesOf(span.attributes),
    exception: exception && attributesOf(exception.attributes)['exception.message'],
  }
}

function attributesOf(attributes: readonly OtlpAttribute[] | undefined): Record<string, string> {
  const found: Record<string, string> = {}
  for (const { key, value } of attributes ?? []) {
    found[key] = String(value?.stringValue ?? value?.intValue ?? value?.boolValue ?? '')
  }
  return found
}
