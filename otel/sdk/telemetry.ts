import type { IncomingMessage, ServerResponse } from 'node:http'

/** One thing wrong with an `OTEL_*` variable; printed together with every other configuration problem. */
export interface TelemetryProblem {
  /** The variable. */
  readonly where: string
  readonly problem: string
  readonly allowed?: string
  readonly nearest?: string
}

export interface Diagnostic {
  readonly level: 'error' | 'warn' | 'info' | 'debug'
  readonly message: string
}

/** One line about a kept trace: the request at its root in this process. */
export interface KeptTraceSummary {
  readonly traceId: string
  /** When the request came, milliseconds since the epoch. */
  readonly timeMs: number
  readonly method: string | undefined
  readonly path: string | undefined
  /** Template of the route. */
  readonly route: string | undefined
  readonly upstream: string | undefined
  readonly status: number | undefined
  readonly outcome: string | undefined
  readonly reason: string | undefined
  readonly durationMs: number
  readonly consumer?: string | undefined
  readonly requestId?: string | undefined
  /** Why it was kept: `fault`, `limited`, `slow`, `unfinished` or `sampled`. */
  readonly cause: string
}

/** Exact values; what is undefined does not matter. */
/** Values that must be equal; `status` may be a class such as `5xx`. The times are milliseconds since the epoch. */
export type KeptTraceFilter = { readonly [Key in keyof KeptTraceSummary]?: string | undefined } & {
  readonly minDurationMs?: number | undefined
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
}

/** The traces that are still in memory. */
export interface KeptTraceReader {
  /** Newest first. */
  list(filter: KeptTraceFilter, limit: number): readonly KeptTraceSummary[]
  /** OTLP/JSON with `resourceSpans`; undefined when the trace is not (or no longer) kept. */
  otlpJson(traceId: string): string | undefined
}

/** How one signal leaves by one exporter. */
export interface PipelineState {
  readonly signal: 'traces' | 'metrics' | 'logs'
  /** `otlp`, `console`. */
  readonly exporter: string
  /** Address without credentials; empty where there is none. */
  readonly receiver: string
  /** Batches. */
  readonly sent: number
  /** Batches that were given up, by kind: a status, a code of gRPC or of the system. */
  readonly failed: Readonly<Record<string, number>>
  /** Milliseconds since the epoch. */
  readonly lastSuccessMs: number | undefined
  readonly lastFailure: { readonly atMs: number; readonly message: string } | undefined
}

/** What the process may ask of its telemetry. `main.ts` alone holds it and hands on what others need. */
export interface Telemetry {
  /** False with `OTEL_SDK_DISABLED=true`, or when `problems` kept the SDK from starting. */
  readonly enabled: boolean
  /** Which exporters each signal leaves by, for the start-up line: `{ metrics: ['prometheus'], traces: [], logs: [] }`. */
  readonly exporters: {
    readonly metrics: readonly string[]
    readonly traces: readonly string[]
    readonly logs: readonly string[]
  }
  /**
   * Who instruments the listener and the upstream calls (`TELEMETRY_HTTP_INSTRUMENTATION`): the gateway itself (`own`, the
   * default), or the stock instrumentations of http, Express and undici (`stock`).
   */
  readonly httpInstrumentation: 'own' | 'stock'
  /** `TRACES_SLOW_MS`: a request that took longer is a slow one. */
  readonly slowMs: number
  /** `TELEMETRY_BODY_SIZES`: whether sizes of bodies are measured. */
  readonly bodySizes: boolean
  /** Wrong `OTEL_*` settings. With any, nothing was started. */
  readonly problems: readonly TelemetryProblem[]
  /** Modules that are loaded by now and whose instrumentation did not take hold: their signals are missing. */
  notInstrumented(): readonly string[]
  readonly traces: KeptTraceReader
  /** How each signal leaves, in the order of the settings. */
  pipelines(): readonly PipelineState[]
  /** Answers a scrape; 404 where telemetry is off or no Prometheus exporter is configured. Never throws. */
  handleMetricsRequest(request: IncomingMessage, response: ServerResponse): void
  /** Says which route template the current request matched (`http.route` on its SERVER span and duration metric). */
  setHttpRoute(route: string): void
  /** Requests arriving on this local port are operations, not traffic: no span, no metric. */
  ignorePort(port: number): void
  /** Where the SDK's own complaints go. Those said before are delivered at once (the last 100 of them). */
  onDiagnostic(sink: (diagnostic: Diagnostic) => void): void
  /** Sends what is still buffered, within `timeoutMs`; resolves in every case, false when something was lost. */
  shutdown(timeoutMs: number): Promise<boolean>
}
