import type { TextMapPropagator } from '@opentelemetry/api'
import type { CompressionAlgorithm } from '@opentelemetry/otlp-exporter-base'
import type { createEmptyMetadata, createSslCredentials } from '@opentelemetry/otlp-grpc-exporter-base'
import type { Resource } from '@opentelemetry/resources'
import type { AggregationSelector, ViewOptions } from '@opentelemetry/sdk-metrics'
import type { AggregationTemporalityPreference } from '@opentelemetry/exporter-metrics-otlp-http'
import type { Sampler } from '@opentelemetry/sdk-trace'
import type { BatchSettings, OtlpProtocol } from './settings'
import type { SpanMaker } from './spans/gateway-span'

/**
 * What the telemetry is made of. It is written in the variables of the environment (`plan-of-settings.ts`) or in a file
 * (`config-file/plan-of-file.ts`); everything after it is the same.
 */
export interface TelemetryPlan {
  readonly resource: Resource
  readonly sampler: Sampler
  /** Null: the fields of a caller pass as they came. */
  readonly propagator: TextMapPropagator | null
  readonly spanLimits: SpanMaker['limits']
  readonly views: readonly ViewOptions[]
  readonly hasExemplars: boolean
  readonly readers: readonly ReaderPlan[]
  readonly spans: readonly ProcessorPlan[]
  readonly logs: readonly ProcessorPlan[]
}

export interface ConsolePlan {
  readonly name: 'console'
}

export interface OtlpPlan {
  readonly name: 'otlp'
  readonly protocol: OtlpProtocol
  /** Address for display: without credentials and query. */
  readonly receiver: string
  /** What is left out, the exporter takes from its variables. */
  readonly options: OtlpOptions
}

/** Options of the SDK's exporters, over HTTP and gRPC. */
export interface OtlpOptions {
  readonly url?: string
  readonly headers?: Record<string, string>
  readonly timeoutMillis?: number
  readonly compression?: CompressionAlgorithm
  readonly httpAgentOptions?: { ca?: Buffer; cert?: Buffer; key?: Buffer }
  readonly credentials?: ReturnType<typeof createSslCredentials>
  readonly metadata?: ReturnType<typeof createEmptyMetadata>
  /** Of metrics. */
  readonly temporalityPreference?: AggregationTemporalityPreference
  readonly aggregationPreference?: AggregationSelector
}

export interface ProcessorPlan {
  readonly exporter: ConsolePlan | OtlpPlan
  /** Undefined: each record is exported at once. */
  readonly batches: BatchSettings | undefined
}

export type ReaderPlan =
  | { readonly exporter: { readonly name: 'prometheus' } }
  | {
      readonly exporter: ConsolePlan | OtlpPlan
      readonly intervalMs: number
      readonly timeoutMs: number
      readonly cardinalityLimits?: Readonly<Record<string, number>>
    }
