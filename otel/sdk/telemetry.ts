import type { Attributes } from '@opentelemetry/api'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** One problem with an `OTEL_*` variable or in the file of `OTEL_CONFIG_FILE`; printed together with all other configuration problems. */
export interface TelemetryProblem {
  /** The variable, or `otel-config.yaml:12:5 tracer_provider.sampler`. */
  readonly where: string
  readonly problem: string
  readonly allowed?: string
  readonly nearest?: string
}

export interface Diagnostic {
  readonly level: 'error' | 'warn' | 'info' | 'debug'
  readonly message: string
}

/** Summary of a kept trace: the request at its root in this process. */
export interface KeptTraceSummary {
  readonly traceId: string
  /** When the request came, milliseconds since the epoch. */
  readonly timeMs: number
  readonly method: string | undefined
  readonly path: string | undefined
  /** Path template of the route. */
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

/**
 * Filter values, compared exactly; undefined matches all. `status` may be a class such as `5xx`. Times are milliseconds
 * since the epoch.
 */
export type KeptTraceFilter = { readonly [Key in keyof KeptTraceSummary]?: string | undefined } & {
  readonly minDurationMs?: number | undefined
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
}

/** Reads the traces that are still in memory. */
export interface KeptTraceReader {
  /** Newest first. */
  list(filter: KeptTraceFilter, limit: number): readonly KeptTraceSummary[]
  /** OTLP/JSON with `resourceSpans`; undefined when the trace is not (or no longer) kept. */
  otlpJson(traceId: string): string | undefined
}

/** State of one signal's export through one exporter. */
export interface PipelineState {
  readonly signal: 'traces' | 'metrics' | 'logs'
  /** `otlp`, `console`. */
  readonly exporter: string
  /** Address without credentials; empty where there is none. */
  readonly receiver: string
  /** Batches sent. */
  readonly sent: number
  /** Batches that finally failed, by kind: a status, or a code of gRPC or of the system. */
  readonly failed: Readonly<Record<string, number>>
  /** Milliseconds since the epoch. */
  readonly lastSuccessMs: number | undefined
  readonly lastFailure: { readonly atMs: number; readonly message: string } | undefined
}

/** The exposition of several workers as one. What passes between the processes is opaque to its carrier. */
export interface WorkerExposition {
  /** In a worker: its metrics, in pieces that each fit into a message. */
  pieces(): Promise<readonly unknown[]>
  /** In the primary: how workers are asked for their pieces. Undefined pieces: the worker did not answer. */
  addWorkers(
    ask: () => Promise<readonly { readonly worker: number; readonly pieces: readonly unknown[] | undefined }[]>,
  ): {
    /** Keeps the last metrics of a worker that ends by itself. */
    keep(worker: number, pieces: readonly unknown[]): void
    /** Tells that a worker has ended: its counters stay. */
    end(worker: number): void
  }
  /** In the primary: the exposition, for a scrape that a worker received. */
  exposition(accept: string | undefined): Promise<{ readonly contentType: string; readonly body: Buffer }>
}

/** The process's handle to its telemetry. Only `main.ts` holds it and passes on the parts that others need. */
export interface Telemetry {
  /** False with `OTEL_SDK_DISABLED=true`, or when `problems` kept the SDK from starting. */
  readonly enabled: boolean
  /** `OTEL_CONFIG_FILE`; undefined without one. */
  readonly configFile: string | undefined
  /** With a file: the values of variables that the gateway reads and the file replaces; undefined: not set. */
  readonly variables: Readonly<Record<string, string | undefined>>
  /** Exporters of each signal, for the start-up line: `{ metrics: ['prometheus'], traces: [], logs: [] }`. */
  readonly exporters: {
    readonly metrics: readonly string[]
    readonly traces: readonly string[]
    readonly logs: readonly string[]
  }
  /**
   * Which code instruments the listener and the upstream calls (`TELEMETRY_HTTP_INSTRUMENTATION`): the gateway itself
   * (`own`, the default), or the stock instrumentations of http, Express and undici (`stock`).
   */
  readonly httpInstrumentation: 'own' | 'stock'
  /** `TRACES_SLOW_MS`: a request that takes longer is slow. */
  readonly slowMs: number
  /** `TELEMETRY_BODY_SIZES`: whether body sizes are measured. */
  readonly bodySizes: boolean
  /** Problems with `OTEL_*` settings. With any problem, nothing was started. */
  readonly problems: readonly TelemetryProblem[]
  /** Loaded modules whose instrumentation did not take effect: their signals are missing. */
  notInstrumented(): readonly string[]
  readonly traces: KeptTraceReader
  /** Whether a kept trace passes a filter: for lists of several workers. */
  matchesTrace(trace: KeptTraceSummary, filter: KeptTraceFilter): boolean
  /** Export state of each signal, in the order of the settings. */
  pipelines(): readonly PipelineState[]
  /** Answers a scrape; 404 where telemetry is off or no Prometheus exporter is configured. Never throws. */
  handleMetricsRequest(request: IncomingMessage, response: ServerResponse): void
  /** With several workers: their part in the exposition. Undefined where there is none. */
  readonly ofWorkers: WorkerExposition | undefined
  /** Sets the route template of the current request (`http.route` on its SERVER span and duration metric). */
  setHttpRoute(route: string): void
  /** Requests arriving on this local port are operations, not traffic: no span, no metric. */
  ignorePort(port: number): void
  /** Removes every series of metrics that has all of these attributes. */
  forgetSeries(attributes: Attributes): void
  /** Sets the receiver of the SDK's own diagnostics. Earlier ones (the last 100) are delivered at once. */
  onDiagnostic(sink: (diagnostic: Diagnostic) => void): void
  /** Sends buffered data within `timeoutMs`; always resolves, with false when data was lost. */
  shutdown(timeoutMs: number): Promise<boolean>
}
