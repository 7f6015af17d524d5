import type { Meter } from '@opentelemetry/api'
import { ExportResultCode, type ExportResult } from '@opentelemetry/core'
import type { OTLPExporterError } from '@opentelemetry/otlp-exporter-base'
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
  #bytes = 0
  /** Failed exports by kind. Bounded by the kinds of `kindOf`. */
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

  /** Adds what the exporter wrote for one export. */
  readonly countBytes = (bytes: number): void => {
    this.#bytes += bytes
  }

  /** Bytes that were written for exports, before compression; 0 for exporters other than OTLP. */
  get bytes(): number {
    return this.#bytes
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
      description: 'Batches of telemetry by the result of their export, after all retries',
      unit: '{export}',
    })
    .addCallback(result => {
      for (const { state } of pipelines) {
        const of = { 'gateway.telemetry.signal': state.signal, 'gateway.telemetry.exporter': state.exporter }
        result.observe(state.sent, of)
        for (const [kind, count] of Object.entries({ ...STARTS_WITH_ZERO, ...state.failed }))
          result.observe(count, { ...of, 'error.type': kind })
      }
    })
}

/** Exposes how much each signal writes: divided by the requests, it is what telemetry adds to the network per request. */
export function observeBytes(meter: Meter, pipelines: readonly Pipeline[]): void {
  meter
    .createObservableCounter('gateway.telemetry.written', {
      description: 'Bytes of OTLP that were written for export, before compression and without retries',
      unit: 'By',
    })
    .addCallback(result => {
      const bySignal = new Map<Signal, number>()
      for (const { state, bytes } of pipelines) {
        if (state.exporter === 'otlp') bySignal.set(state.signal, (bySignal.get(state.signal) ?? 0) + bytes)
      }
      for (const [signal, bytes] of bySignal) result.observe(bytes, { 'gateway.telemetry.signal': signal })
    })
}

/** Codes of the system by which a connection fails. Everything else that fails has a kind of its own or is `_OTHER`. */
const SYSTEM_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
])
/** Present with 0 from the start, so that an alert on the rate of a kind sees its first failure. */
const USUAL_KINDS = ['ECONNREFUSED', 'ENOTFOUND', 'timeout', 'tls', 'retryable_status', '_OTHER'] as const
const STARTS_WITH_ZERO: Readonly<Record<string, number>> = Object.fromEntries(USUAL_KINDS.map(kind => [kind, 0]))
/** Codes and messages of TLS: of OpenSSL, of Node, and of certificates that are not accepted. */
const TLS = /^(?:EPROTO$|ERR_(?:TLS|SSL)_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)|SSL routines|certificate/
const GRPC_DEADLINE_EXCEEDED = 4
const GRPC_UNAVAILABLE = 14

/**
 * The kind of a failure, from a bounded set: a status of HTTP, `grpc_` and a code, a code of the system, `tls`, `timeout`,
 * `retryable_status`, `too_many_exports` or `_OTHER`.
 */
export function kindOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return kindOf(error.errors[0])
  if (!(error instanceof Error)) return '_OTHER'
  const { code, message }: Error & { readonly code?: unknown } = error
  if (typeof code === 'number') return isAnswer(error) ? kindOfStatus(code) : kindOfGrpc(code, message)
  if (typeof code === 'string' && SYSTEM_CODES.has(code)) return code
  if ((typeof code === 'string' && TLS.test(code)) || TLS.test(message)) return 'tls'
  if (/timed? ?out/i.test(message)) return 'timeout'
  if (/Concurrent export limit/.test(message)) return 'too_many_exports'
  // The SDK's message when the receiver answered every attempt with 429, 502, 503 or 504.
  return /retryable/.test(message) ? 'retryable_status' : '_OTHER'
}

/** Whether a receiver answered with an error. By name, because only exporters over HTTP load the class. */
function isAnswer(error: unknown): error is OTLPExporterError {
  return error instanceof Error && error.name === 'OTLPExporterError'
}

function kindOfStatus(status: number): string {
  return status >= 100 && status <= 599 ? String(status) : '_OTHER'
}

/** gRPC reports each broken connection as unavailable and says why only in its message. */
function kindOfGrpc(code: number, message: string): string {
  if (code === GRPC_DEADLINE_EXCEEDED) return 'timeout'
  if (code === GRPC_UNAVAILABLE) {
    const cause = /\bE[A-Z_]{3,}\b/.exec(message)?.[0]
    if (cause !== undefined && SYSTEM_CODES.has(cause)) return cause
    if (/Name resolution failed/.test(message)) return 'ENOTFOUND'
    if (TLS.test(message)) return 'tls'
  }
  return code >= 0 && code <= 16 ? `grpc_${code}` : '_OTHER'
}

function explain(error: unknown): string {
  if (isAnswer(error)) {
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
