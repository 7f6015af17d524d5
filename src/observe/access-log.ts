import { symbols } from 'pino'
import { context, INVALID_TRACEID, trace } from '@opentelemetry/api'
import { errorCode, toError } from '../errors/error-code'
import type { Exchange } from '../exchange/exchange'
import type { Route } from '../routing/route'
import { eventLoopDelay } from '../process/event-loop-delay'
import type { Logger } from '../telemetry/logger'

/** Writes one line per request, when its response closes. Omits the query, which may contain secrets. */
export type AccessLog = (exchange: Exchange) => void

/**
 * Creates the access log. It formats its lines itself, because there is one per request and pino copies and scans all
 * fields. Level, time, destination and instrumentation remain those of pino.
 *
 * @param areExported whether lines are also exported over OTLP; the exporter takes the trace from the active context
 */
export function createAccessLog(log: Logger, areExported = false): AccessLog {
  const requests = log.child({}) as Logger & { [symbols.mixinSym]: undefined; [symbols.asJsonSym]: typeof lineOf }
  requests[symbols.mixinSym] = undefined // the trace ids are in the line already
  requests[symbols.asJsonSym] = lineOf
  const write = (exchange: Exchange): void => {
    if (exchange.outcome === 'fault') requests.error(exchange, 'request failed')
    else requests.info(exchange, 'request')
  }
  if (!areExported) return write
  return function logAccess(exchange) {
    context.with(exchange.context, write, undefined, exchange)
  }
}

/** Replaces pino's serializer for access-log lines. Omits undefined fields. */
function lineOf(this: LineBeginnings, exchange: Exchange, message: string, level: number, time: string): string {
  const { request, route, outcome, reason, consumer, stream, tunnel, cause } = exchange
  let line = this[symbols.lsCacheSym][level] + time + traceOf(exchange)
  if (exchange.requestId !== '') line += `,"request_id":${toJson(exchange.requestId)}`
  line += `,"event":"request","method":${toJson(request.method ?? '')},"path":${toJson(exchange.path)}`
  if (route !== undefined) line += fieldsOfRoute(route)
  line += `,"status":${exchange.statusCode},"outcome":"${outcome}"`
  if (reason !== undefined) line += `,"reason":"${reason}"`
  if (consumer !== undefined) line += `,"consumer":${toJson(consumer.name)}`
  if (exchange.authorizerFailed) line += ',"external_auth":"failed_open"'
  if (exchange.clientAddress !== '') line += `,"client":${toJson(exchange.clientAddress)}`
  if (stream !== undefined) line += `,"stream":"${stream}"`
  if (tunnel !== undefined) {
    line += `,"ended_by":"${tunnel.endedBy ?? 'gateway'}","bytes_in":${tunnel.bytesIn},"bytes_out":${tunnel.bytesOut}`
  }
  line += `,"duration_ms":${Math.round((performance.now() - exchange.startedAt) * 1000) / 1000}`
  const loopDelay = eventLoopDelay.during(exchange.startedAt)
  if (loopDelay > 0) line += `,"event_loop_delay_ms":${loopDelay}`
  if (cause !== undefined) line += `,"error":${JSON.stringify(describe(cause))}`
  if (outcome === 'fault' && exchange.target !== undefined) line += `,"target":${toJson(exchange.target)}`
  return `${line},"msg":"${message}"}\n`
}

/** The beginnings of lines that pino prepares for each level. */
interface LineBeginnings {
  readonly [symbols.lsCacheSym]: Readonly<Record<number, string>>
}

function traceOf({ context }: Exchange): string {
  const span = trace.getSpanContext(context)
  // No trace without telemetry. A trace id with nonzero digits is valid: generated here or checked on arrival.
  if (span === undefined || span.traceId === INVALID_TRACEID) return ''
  return `,"trace_id":"${span.traceId}","span_id":"${span.spanId}","trace_flags":"0${span.traceFlags.toString(16)}"`
}

const ofRoutes = new WeakMap<Route, string>()

/** Formats the fields of a route, once per route. */
function fieldsOfRoute(route: Route): string {
  let fields = ofRoutes.get(route)
  if (fields === undefined) {
    fields = `,"route":${JSON.stringify(route.template)}`
    if (route.upstreamName !== undefined) fields += `,"upstream":${JSON.stringify(route.upstreamName)}`
    ofRoutes.set(route, fields)
  }
  return fields
}

/** Quotes a text as JSON, with a fast path for text without characters to escape. */
function toJson(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`
}

const NEEDS_ESCAPE = /[^ !#-[\]-~]/

function describe(cause: unknown): { code: string | undefined; message: string } {
  return { code: errorCode(cause), message: toError(cause).message }
}
