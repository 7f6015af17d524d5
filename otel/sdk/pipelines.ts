import type { Meter } from '@opentelemetry/api'
import { ExportResultCode, type ExportResult } from '@opentelemetry/core'
import { OTLPExporterError } from '@opentelemetry/otlp-exporter-base'
import type { PipelineState } from './telemetry'

/** Characters of a receiver's error response that are kept for messages. */
const BODY_CHARACTERS = 200

export type Signal = PipelineState['signal']

interface Exporter {
  export(records: unknown, done: (result: ExportResult) => void): void
}

/** One signal's way out through one exporter: batches sent, batches failed, and why. */
export class Pipeline {
  readonly #signal: Signal
  readonly #exporter: string
  readonly #receiver: string
  #sent = 0
  /** Failed exports by kind: a status, `timeout`, `unreachable`, … Bounded: one entry per known status. */
  readonly #failed = new Map<string, number>()
  #lastSuccessMs: number | undefined
  #lastFailure: { readonly atMs: number; readonly message: string } | undefined

  /** @param receiver address without credentials; empty if the exporter has none */
  constructor(signal: Signal, exporter: string, receiver: string) {
    this.#signal = signal
    this.#exporter = exporter
    this.#receiver = receiver
  }

  /** Returns the same exporter with its results counted here; its errors then name the receiver and its response. */
  watch<Watched extends object>(exporter: Watched & Exporter): Watched {
    const send = exporter.export.bind(exporter)
    const watched: Exporter['export'] = (records, done) => {
      send(records, result => {
        if (result.code === ExportResultCode.SUCCESS) {
          this.#sent++
          this.#lastSuccessMs = Date.now()
          done(result)
        } else {
          done({ code: result.code, error: this.#failure(result.error) })
        }
      })
    }
    return Object.assign(exporter, { export: watched })
  }

  get state(): PipelineState {
    return {
      signal: this.#signal,
      exporter: this.#exporter,
      receiver: this.#receiver,
      sent: this.#sent,
      failed: Object.fromEntries(this.#failed),
      lastSuccessMs: this.#lastSuccessMs,
      lastFailure: this.#lastFailure,
    }
  }

  #failure(error: Error | undefined): Error {
    const kind = kindOf(error)
    this.#failed.set(kind, (this.#failed.get(kind) ?? 0) + 1)
    const to = this.#receiver === '' ? '' : ` to ${this.#receiver}`
    const message = `${this.#signal} could not be sent by ${this.#exporter}${to}: ${explain(error)}`
    this.#lastFailure = { atMs: Date.now(), message }
    return new ExportFailure(message, { cause: error })
  }
}

/** An export that finally failed. */
export class ExportFailure extends Error {
  override readonly name = 'ExportFailure'
}

/** Exposes the counts of all pipelines when metrics are collected. */
export function observePipelines(meter: Meter, pipelines: readonly Pipeline[]): void {
  meter
    .createObservableCounter('gateway.telemetry.exports', {
      description: 'Batches of telemetry by how their export ended, with all retries',
      unit: '{export}',
    })
    .addCallback(result => {
      for (const { state } of pipelines) {
        const of = { 'gateway.telemetry.signal': state.signal, 'gateway.telemetry.exporter': state.exporter }
        // One error series exists from the start, so that an alert on its rate sees the first failure.
        result.observe(state.sent, of)
        for (const [kind, count] of Object.entries({ _OTHER: 0, ...state.failed }))
          result.observe(count, { ...of, 'error.type': kind })
      }
    })
}

/** HTTP statuses, gRPC codes and system error codes are bounded sets; everything else is one kind. */
function kindOf(error: unknown): string {
  const code = error !== null && typeof error === 'object' && 'code' in error ? error.code : undefined
  if (typeof code === 'number') return error instanceof OTLPExporterError ? String(code) : `grpc_${code}`
  if (typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,40}$/.test(code)) return code
  if (error instanceof AggregateError && error.errors.length > 0) return kindOf(error.errors[0])
  if (!(error instanceof Error)) return '_OTHER'
  if (/timed? ?out/i.test(error.message)) return 'timeout'
  // The SDK's message when the receiver answered every attempt with 429, 502, 503 or 504.
  return /retryable/.test(error.message) ? 'retryable_status' : '_OTHER'
}

function explain(error: unknown): string {
  if (error instanceof OTLPExporterError) {
    const body = startOf(error.data ?? '')
    return `it answered ${error.code ?? 'nothing'} ${error.message}${body === '' ? '' : `: ${body}`}`.trim()
  }
  if (error instanceof AggregateError && error.message === '') return error.errors.map(explain).join('; ')
  if (error instanceof Error) return error.message === '' ? error.name : error.message
  return 'no reason was given'
}

/** The beginning of a response body as one readable line. */
function startOf(body: string): string {
  // Control characters, also those from protobuf, would break the line.
  const text = body
    .slice(0, 4 * BODY_CHARACTERS)
    .replace(/[^\x20-\x7e\xa0-\ufffc]+/g, ' ')
    .trim()
  return text.length > BODY_CHARACTERS ? `${text.slice(0, BODY_CHARACTERS)}…` : text
}
