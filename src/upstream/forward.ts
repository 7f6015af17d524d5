import type { Dispatcher } from 'undici'
import { context, trace } from '@opentelemetry/api'
import { hasBody, type Exchange, type Stage } from '../exchange'
import { GatewayError } from '../errors/gateway-error'
import { ATTR_STREAM } from '../telemetry/semconv'
import { CallTimer, type TimedCall } from './call-timer'
import type { CallTelemetry, ClientTelemetry } from './client-telemetry'
import { replacedTraceFields } from '../telemetry/trace-fields'
import { buildRequestHeaders } from './request-headers'
import { buildResponseHeaders, buildTrailers, ownLimits, refuseTransferCodings } from './response-headers'
import { RequestBody } from './request-body'
import { toGatewayError } from './upstream-errors'
import type { Upstream } from './upstream'

/** How long a client may neither send what it owes nor read what is there for it: its call holds one of a few connections. */
const SILENT_CLIENT_MS = 60_000

export interface ForwardOptions {
  readonly upstream: Upstream
  readonly telemetry: ClientTelemetry
  /** Removed from the front of the path; a whole number of segments. */
  readonly stripPrefix: string | undefined
  /** Called once when the call failed; answers the client if that is still possible. */
  readonly onFailure: (exchange: Exchange, error: unknown) => void
  /** True while the process is draining: clients are then asked to open no further request on the connection. */
  readonly isDraining: () => boolean
}

/**
 * The last stage: sends the request to a target and its response to the client, both as streams, nothing buffered.
 *
 * On undici's dispatch level, because its promises and streams cost as much again as the call itself
 * (`docs/performance.md`).
 */
export function forward(options: ForwardOptions): Stage {
  const { upstream, telemetry, stripPrefix } = options
  const replaced = replacedTraceFields()
  return function forwardToUpstream(exchange) {
    const { request, response } = exchange
    // The client may have left while an earlier stage waited; its 'close' would not be seen again.
    if (response.destroyed) return
    const target = upstream.pick()
    exchange.target = target.origin
    const path = stripped(exchange.path, stripPrefix)
    const headers = buildRequestHeaders(exchange, replaced)
    const call = telemetry.begin(exchange, target.attributes, path, headers)
    if (exchange.expectsContinue) response.writeContinue()
    const body = hasBody(request) ? new RequestBody(request) : null
    target.pool.dispatch(
      {
        path: path + exchange.query,
        method: request.method as Dispatcher.HttpMethod,
        headers,
        body,
      },
      new UpstreamCall(exchange, body, options, call),
    )
  }
}

function stripped(path: string, prefix: string | undefined): string {
  if (prefix === undefined) return path
  const rest = path.slice(prefix.length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** One call to a target, seen from undici. Its methods run in the order in which they are written here. */
class UpstreamCall implements Dispatcher.DispatchHandler, TimedCall {
  readonly #exchange: Exchange
  readonly #body: RequestBody | null
  readonly #options: ForwardOptions
  readonly #telemetry: CallTelemetry
  readonly #timer: CallTimer
  #controller: Dispatcher.DispatchController | undefined
  #settled = false
  #statusCode: number | undefined
  /** Bytes of the response body still to come; -1 when the upstream did not say. */
  #remaining = -1
  #bodyStarted = false

  constructor(exchange: Exchange, body: RequestBody | null, options: ForwardOptions, telemetry: CallTelemetry) {
    this.#exchange = exchange
    this.#body = body
    this.#options = options
    this.#telemetry = telemetry
    this.#timer = new CallTimer(this, { upstreamMs: options.upstream.responseTimeoutMs, clientMs: SILENT_CLIENT_MS })
    // Before the entrypoint's own listener: the call's span must have ended when the request's does.
    exchange.response.prependOnceListener('close', this.#onClientClose)
  }

  /** The client went away: the upstream must not go on working for nobody. */
  readonly #onClientClose = (): void => {
    if (this.#settled) return
    this.#settle()
    this.#exchange.conclude('client_closed', 'client_closed')
    this.#telemetry.failed('client_closed', undefined, this.#statusCode)
    this.#controller?.abort(CLIENT_CLOSED)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // While the call waited for a free connection the client may have left.
    if (this.#settled) controller.abort(CLIENT_CLOSED)
    else this.#timer.start()
  }

  onBodySent(): void {
    this.#timer.moved()
  }

  onRequestSent(): void {
    this.#timer.moved()
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: Record<string, string | string[] | undefined>,
    statusMessage?: string,
  ): void {
    if (this.#settled) return
    this.#timer.moved()
    const { response } = this.#exchange
    if (statusCode < 200) return this.#passInformation(statusCode, headers)
    this.#statusCode = statusCode
    if (headers['content-type']?.includes('text/event-stream')) markEventStream(this.#exchange)
    if (statusCode >= 500) this.#exchange.conclude('fault', 'upstream_5xx')
    refuseTransferCodings(joined(headers['transfer-encoding']))
    const length = headers['content-length']
    if (typeof length === 'string' && this.#exchange.request.method !== 'HEAD') this.#remaining = Number(length)
    const raw = (controller.rawHeaders ?? []) as readonly (Buffer | string)[]
    const fields = buildResponseHeaders(raw, statusCode, joined(headers['connection']))
    fields.push(...ownLimits(response, headers))
    // An answer that comes before the whole body leaves bytes on the connection that nobody will read.
    if (this.#exchange.bodyIsPending || this.#options.isDraining()) fields.push('Connection', 'close')
    response.writeHead(statusCode, reasonPhrase(statusMessage), fields)
    // A stream may send its first byte much later; its header section must not wait for that.
    process.nextTick(flushUnlessStarted, this)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return
    this.#timer.moved()
    this.#bodyStarted = true
    const { response } = this.#exchange
    if (this.#remaining !== -1 && (this.#remaining -= chunk.length) === 0) {
      // The last chunk of a known length goes out with the end: one write less for nearly every response.
      this.#settle()
      this.#telemetry.responded(this.#statusCode as number)
      response.end(chunk)
      return
    }
    if (!response.write(chunk)) {
      controller.pause()
      response.once('drain', () => {
        this.#timer.moved()
        controller.resume()
      })
    }
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#settled) return
    this.#settle()
    this.#telemetry.responded(this.#statusCode as number)
    const { response } = this.#exchange
    const raw = (controller.rawTrailers ?? []) as readonly (Buffer | string)[]
    // Silent where the framing cannot carry any (HTTP/1.0, Content-Length), as RFC 9110 §6.5.1 wants.
    if (raw.length > 0) response.addTrailers(buildTrailers(raw))
    response.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#settled) return
    this.#settle()
    // undici leaves the body of a call that never began alone, and the client's connection would stand still.
    this.#body?.destroy()
    // The client broke off its own upload: undici reports the body's error as the call's.
    if (this.#exchange.request.destroyed && !this.#exchange.request.complete) {
      this.#exchange.conclude('client_closed', 'client_closed')
      this.#telemetry.failed('client_closed', undefined, this.#statusCode)
      return
    }
    const failure = toGatewayError(error)
    this.#telemetry.failed(failure.reason, failure.cause, this.#statusCode)
    // undici calls back in the context of whoever opened the connection; logs and spans belong to this request.
    context.with(this.#exchange.context, this.#options.onFailure, undefined, this.#exchange, failure)
  }

  get isClientsTurn(): boolean {
    if (this.#controller?.paused) return true
    return this.#body !== null && !this.#exchange.request.complete && this.#body.readableLength === 0
  }

  onSilence(who: 'client' | 'upstream'): void {
    const client = this.#controller?.paused ? 'client_stalled' : 'request_timeout'
    this.#controller?.abort(new GatewayError(who === 'upstream' ? 'response_timeout' : client))
  }

  flushUnlessStarted(): void {
    if (!this.#bodyStarted && !this.#settled) this.#exchange.response.flushHeaders()
  }

  /** Nothing more is expected of the upstream, and nothing it does is looked at any more. */
  #settle(): void {
    this.#settled = true
    this.#timer.stop()
  }

  /** 1xx answers (RFC 9110 §15.2) that mean something end to end. `100` never comes: `Expect` is not forwarded. */
  #passInformation(statusCode: number, headers: Record<string, string | string[] | undefined>): void {
    const { request, response } = this.#exchange
    if (request.httpVersionMinor === 0) return // HTTP/1.0 knows no 1xx
    if (statusCode === 102) response.writeProcessing()
    if (statusCode === 103 && headers['link'] !== undefined) {
      try {
        response.writeEarlyHints({ link: headers['link'] })
      } catch {
        // Node refuses Link values it cannot parse. Hints are optional: without them the page only loads later.
      }
    }
  }
}

/** Said on the span at once: whoever finds it open after minutes must know that it is meant to be. */
function markEventStream(exchange: Exchange): void {
  exchange.isEventStream = true
  trace.getSpan(exchange.context)?.setAttribute(ATTR_STREAM, 'event_stream')
}

function flushUnlessStarted(call: UpstreamCall): void {
  call.flushUnlessStarted()
}

/** Left out where Node would refuse to write it: it has no meaning (RFC 9110 §15.1), and HTTP/2 has none at all. */
function reasonPhrase(phrase: string | undefined): string {
  return phrase !== undefined && /^[\t\x20-\x7e]*$/.test(phrase) ? phrase : ''
}

function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}

const CLIENT_CLOSED = new GatewayError('client_closed')
