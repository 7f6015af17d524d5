import { symbols } from 'pino'
import { context, INVALID_TRACEID, trace } from '@opentelemetry/api'
import { errorCode, toError } from '../errors/error-code'
import type { Exchange } from '../exchange/exchange'
import type { Route } from '../routing/route'
import { eventLoopDelay } from '../process/event-loop-delay'
import type { Logger } from '../telemetry/logger'

/** Writes one line per request, when its response closes. The query stays out: it may carry secrets. */
export type AccessLog = (exchange: Exchange) => void

/**
 * The lines are put together here, because there are as many as requests, and pino copies the fields and looks at every
 * character of them: level, time, destination and whatever watches it stay pino's own.
 *
 * @param areExported whether lines leave over OTLP, too: whatever sends them takes their trace from the active context
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

/** Called by pino in place of its own. What is undefined is left out. */
function lineOf(this: LineBeginnings, exchange: Exchange, message: string, level: number, time: string): string {
  const { request, route, outcome, reason, consumer, stream, tunnel, cause } = exchange
  let line = this[symbols.lsCacheSym][level] + time + traceOf(exchange)
  if (exchange.requestId !== '') line += `,"request_id":${toJson(exchange.requestId)}`
  line += `,"event":"request","method":${toJson(request.method ?? '')},"path":${toJson(exchange.path)}`
  if (route !== undefined) line += fieldsOfRoute(route)
  line += `,"status":${exchange.statusCode},"outcome":"${outcome}"`
  if (reason !== undefined) line += `,"reason":"${reason}"`
  if (consumer !== undefined) line += `,"consumer":${toJson(consumer.name)}`
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

/** What pino has prepared for each level. */
interface LineBeginnings {
  readonly [symbols.lsCacheSym]: Readonly<Record<number, string>>
}

function traceOf({ context }: Exchange): string {
  const span = trace.getSpanContext(context)
  // Without telemetry. What is not of zeros only is valid: ours, or checked when it was taken over.
  if (span === undefined || span.traceId === INVALID_TRACEID) return ''
  return `,"trace_id":"${span.traceId}","span_id":"${span.spanId}","trace_flags":"0${span.traceFlags.toString(16)}"`
}

const ofRoutes = new WeakMap<Route, string>()

/** Made once for each route. */
function fieldsOfRoute(route: Route): string {
  let fields = ofRoutes.get(route)
  if (fields === undefined) {
    fields = `,"route":${JSON.stringify(route.template)}`
    if (route.upstreamName !== undefined) fields += `,"upstream":${JSON.stringify(route.upstreamName)}`
    ofRoutes.set(route, fields)
  }
  return fields
}

/** Nearly no text has a character that needs an escape. */
function toJson(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`
}

const NEEDS_ESCAPE = /[^ !#-[\]-~]/

function describe(cause: unknown): { code: string | undefined; message: string } {
  return { code: errorCode(cause), message: toError(cause).message }
}
