import { parse, type Type } from 'protobufjs'

/** The three requests of OTLP, as far as the tests look at them; field numbers as in opentelemetry-proto 1.x. */
const PROTO = `
  syntax = "proto3";
  message AnyValue {
    oneof value {
      string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
      ArrayValue array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7;
    }
  }
  message ArrayValue { repeated AnyValue values = 1; }
  message KeyValueList { repeated KeyValue values = 1; }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message Scope { string name = 1; string version = 2; }

  message TracesRequest { repeated ResourceSpans resource_spans = 1; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; string schema_url = 3; }
  message ScopeSpans { Scope scope = 1; repeated Span spans = 2; string schema_url = 3; }
  message Span {
    bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
    repeated KeyValue attributes = 9;
  }

  message MetricsRequest { repeated ResourceMetrics resource_metrics = 1; }
  message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
  message ScopeMetrics { Scope scope = 1; repeated Metric metrics = 2; string schema_url = 3; }
  message Metric {
    string name = 1; string unit = 3;
    oneof data { Numbers gauge = 5; Numbers sum = 7; Histograms histogram = 9; Exponentials exponential_histogram = 10; }
  }
  message Numbers { repeated NumberPoint data_points = 1; }
  message Exemplar { fixed64 time_unix_nano = 2; double as_double = 3; bytes span_id = 4; bytes trace_id = 5; }
  message NumberPoint { repeated KeyValue attributes = 7; repeated Exemplar exemplars = 5; oneof value { double as_double = 4; sfixed64 as_int = 6; } }
  message Histograms { repeated HistogramPoint data_points = 1; }
  message HistogramPoint { repeated KeyValue attributes = 9; fixed64 count = 4; repeated Exemplar exemplars = 8; }

  message Exponentials { repeated ExponentialPoint data_points = 1; }
  message ExponentialPoint { repeated KeyValue attributes = 1; fixed64 count = 4; repeated Exemplar exemplars = 11; }

  message LogsRequest { repeated ResourceLogs resource_logs = 1; }
  message ResourceLogs { Resource resource = 1; repeated ScopeLogs scope_logs = 2; }
  message ScopeLogs { Scope scope = 1; repeated LogRecord log_records = 2; }
  message LogRecord {
    string severity_text = 3; AnyValue body = 5; repeated KeyValue attributes = 6; bytes trace_id = 9; bytes span_id = 10;
  }
`

export type OtlpSignal = 'traces' | 'metrics' | 'logs'

const { root } = parse(PROTO)
const REQUESTS: Readonly<Record<OtlpSignal, Type>> = {
  traces: root.lookupType('TracesRequest'),
  metrics: root.lookupType('MetricsRequest'),
  logs: root.lookupType('LogsRequest'),
}

interface AnyValue {
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly intValue?: number | string
  readonly doubleValue?: number
}
type KeyValues = readonly { readonly key: string; readonly value: AnyValue }[]
/** Hexadecimal in JSON, bytes in protobuf. */
type Id = string | Uint8Array | undefined
type Attributed = { readonly attributes?: KeyValues }

type OtlpScope = { readonly name?: string; readonly version?: string }

/** A request in the shape of OTLP/JSON, whichever way it came. */
export interface OtlpRequest {
  readonly resourceSpans?: readonly {
    readonly resource: Attributed
    readonly scopeSpans: readonly {
      readonly scope?: OtlpScope
      readonly schemaUrl?: string
      readonly spans: readonly ({
        traceId: Id
        spanId: Id
        parentSpanId?: Id
        name: string
        kind: number
      } & Attributed)[]
    }[]
  }[]
  readonly resourceMetrics?: readonly {
    readonly resource: Attributed
    readonly scopeMetrics: readonly {
      readonly scope?: OtlpScope
      readonly schemaUrl?: string
      readonly metrics: readonly {
        readonly name: string
        readonly unit?: string
        readonly gauge?: { readonly dataPoints: readonly Attributed[] }
        readonly sum?: { readonly dataPoints: readonly Attributed[] }
        readonly histogram?: { readonly dataPoints: readonly Attributed[] }
        readonly exponentialHistogram?: { readonly dataPoints: readonly Attributed[] }
      }[]
    }[]
  }[]
  readonly resourceLogs?: readonly {
    readonly resource: Attributed
    readonly scopeLogs: readonly {
      readonly logRecords: readonly ({
        severityText?: string
        body?: AnyValue
        traceId?: Id
        spanId?: Id
      } & Attributed)[]
    }[]
  }[]
}

/** @throws when the bytes are not such a message */
export function decodeProtobuf(signal: OtlpSignal, bytes: Uint8Array): OtlpRequest {
  const type = REQUESTS[signal]
  return type.toObject(type.decode(bytes), { longs: Number, arrays: true })
}

/** `{ 'http.route': '/hello' }` of a list of key and value. */
export function attributesOf({ attributes = [] }: Attributed): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]))
}

export function plain(value: AnyValue | undefined): unknown {
  if (value?.intValue !== undefined) return Number(value.intValue)
  return value?.stringValue ?? value?.boolValue ?? value?.doubleValue
}

export function hexadecimal(id: Id): string {
  return typeof id === 'string' ? id : Buffer.from(id ?? []).toString('hex')
}
