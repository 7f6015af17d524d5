import { symbols } from 'pino'
import { context, INVALID_TRACEID, trace } from '@opentelemetry/api'
import { errorCode, toError } from '../errors/error-code'
import type { Exchange } from '../exchange'
import type { Logger } from '../telemetry/logger'

/** Writes one line per request, when its response closes. The query stays out: it may carry secrets. */
export type AccessLog = (exchange: Exchange) => void

/**
 * Faults are written by pino. All other lines are put together here, because there are as many as requests, and pino copies
 * the fields and looks at every character of them: level, time, destination and whatever watches it stay pino's own.
 */
export function createAccessLog(log: Logger): AccessLog {
  const requests = log.child({}) as Logger & { [symbols.mixinSym]: undefined; [symbols.asJsonSym]: typeof lineOf }
  requests[symbols.mixinSym] = undefined // the trace ids are in the line already
  requests[symbols.asJsonSym] = lineOf
  const write = (exchange: Exchange): void => {
    if (exchange.outcome !== 'fault') requests.info(exchange, 'request')
    else log.error({ ...fieldsOf(exchange), target: exchange.target }, 'request failed')
  }
  return function logAccess(exchange) {
    // In the context of the request: there the lines that leave over OTLP, and those of pino, find their trace.
    context.with(exchange.context, write, undefined, exchange)
  }
}

/** Those that are undefined are left out. */
function fieldsOf(exchange: Exchange): Readonly<Record<string, unknown>> {
  const { request, route, outcome, reason, cause, tunnel } = exchange
  return {
    event: 'request',
    method: request.method,
    path: exchange.path,
    route: route?.template,
    upstream: route?.upstreamName,
    status: exchange.statusCode,
    outcome,
    reason,
    consumer: exchange.consumer?.name,
    client: exchange.clientAddress,
    stream: exchange.stream,
    ended_by: tunnel?.endedBy,
    bytes_in: tunnel?.bytesIn,
    bytes_out: tunnel?.bytesOut,
    duration_ms: Math.round((performance.now() - exchange.startedAt) * 1000) / 1000,
    error: describe(cause),
  }
}

/** Called by pino in place of its own. */
function lineOf(this: LineBeginnings, exchange: Exchange, message: string, level: number, time: string): string {
  let line = this[symbols.lsCacheSym][level] + time + traceOf(exchange)
  const fields = fieldsOf(exchange)
  for (const name in fields) {
    const value = fields[name]
    if (value !== undefined) line += `,"${name}":${toJson(value)}`
  }
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

/** Nearly no value has a character that needs an escape. */
function toJson(value: unknown): string {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && !NEEDS_ESCAPE.test(value) ? `"${value}"` : JSON.stringify(value)
}

const NEEDS_ESCAPE = /[^ !#-[\]-~]/

function describe(cause: unknown): { code: string | undefined; message: string } | undefined {
  if (cause === undefined) return undefined
  return { code: errorCode(cause), message: toError(cause).message }
}
