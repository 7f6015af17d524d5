import { METHODS } from 'node:http'
import { symbols } from 'pino'
import { context, INVALID_TRACEID, trace } from '@opentelemetry/api'
import { errorCode, toError } from '../errors/error-code'
import type { Outcome } from '../errors/reasons'
import type { AccessLogSettings } from '../exchange/access-log-settings'
import type { Exchange } from '../exchange/exchange'
import type { Route } from '../routing/route'
import { eventLoopDelay } from '../process/event-loop-delay'
import { combinedLine, fieldWriter, type WriteFields } from './access-log-fields'
import { rpcStatusOf } from './rpc'
import type { Logger } from '../telemetry/logger'

/** Writes one line per request, when its response closes. Omits the query, which may contain secrets. */
export type AccessLog = (exchange: Exchange) => void

/**
 * Creates the access log. It formats its lines itself and writes them to the logger's destination, because there is one per
 * request, and pino copies and scans all fields. Level, time, destination and instrumentation remain those of pino.
 *
 * @param areExported whether lines are also exported over OTLP; the exporter takes the trace from the active context
 */
export function createAccessLog(log: Logger, areExported = false): AccessLog {
  const requests = log.child({}) as RequestLogger
  requests[symbols.mixinSym] = undefined // the trace ids are in the line already
  requests[symbols.asJsonSym] = lineOf
  if (areExported) {
    return function logAccess(exchange) {
      if (isLeftOut(exchange)) return
      context.with(exchange.context, logByPino, undefined, requests, exchange)
    }
  }
  const stream = requests[symbols.streamSym]
  // Such a destination, or hook, gets more from pino than the line.
  if (stream[NEEDS_METADATA] === true || requests[symbols.hooksSym]?.streamWrite !== undefined) {
    return function logAccess(exchange) {
      if (!isLeftOut(exchange)) logByPino(requests, exchange)
    }
  }
  const { error, info } = log.levels.values as { readonly error: number; readonly info: number }
  return function logAccess(exchange) {
    const isFault = exchange.outcome === 'fault'
    const level = isFault ? error : info
    if (log.levelVal > level || isLeftOut(exchange)) return
    stream.write(requests[symbols.asJsonSym](exchange, isFault ? FAILED : DONE, level, requests[symbols.timeSym]()))
  }
}

const FAILED = 'request failed'
const DONE = 'request'

/** Set by pino on destinations that read the level and the object of each line. */
const NEEDS_METADATA = Symbol.for('pino.metadata')

/** The parts of pino's logger that make and write a line. */
type RequestLogger = Logger & {
  [symbols.mixinSym]: undefined
  [symbols.asJsonSym]: typeof lineOf
  readonly [symbols.timeSym]: () => string
  readonly [symbols.hooksSym]?: { readonly streamWrite?: unknown }
  readonly [symbols.streamSym]: { write(line: string): void; readonly [NEEDS_METADATA]?: boolean }
} & LineBeginnings

function logByPino(requests: RequestLogger, exchange: Exchange): void {
  if (exchange.outcome === 'fault') requests.error(exchange, FAILED)
  else requests.info(exchange, DONE)
}

/** Replaces pino's serializer for access-log lines. Omits undefined fields. */
function lineOf(this: LineBeginnings, exchange: Exchange, message: string, level: number, time: string): string {
  const { request, route, outcome, reason, consumer, stream, tunnel, cause, startedAt, loggedBy } = exchange
  if (loggedBy !== undefined && !isStandard(loggedBy)) {
    return configuredLine(this, loggedBy, exchange, message, level, time)
  }
  // V8 joins the parts of a text when it is written; each part costs, so constants and cached texts are as long as possible.
  let line = beginningOf(this, level, time) + traceOf(exchange)
  if (exchange.requestId !== '') line += `,"request_id":${toJson(exchange.requestId)}`
  line += `${ofMethod(request.method ?? '')}${toJson(exchange.path)}${endOf(route ?? NO_ROUTE, exchange.statusCode, outcome)}`
  if (reason !== undefined) line += `,"reason":"${reason}"`
  if (exchange.grpc !== undefined) line += `,"grpc_status":"${rpcStatusOf(exchange, exchange.grpc)}"`
  if (consumer !== undefined) line += `,"consumer":${toJson(consumer.name)}`
  if (exchange.authorizerFailed) line += ',"external_auth":"failed_open"'
  if (exchange.clientAddress !== '') line += ofClient(exchange.clientAddress)
  if (stream !== undefined) line += `,"stream":"${stream}"`
  if (tunnel !== undefined) {
    line += `,"ended_by":"${tunnel.endedBy ?? 'gateway'}","bytes_in":${tunnel.bytesIn},"bytes_out":${tunnel.bytesOut}`
  }
  const now = performance.now()
  line += `,"duration_ms":${milliseconds(now - startedAt)}`
  const loopDelay = eventLoopDelay.during(startedAt, now)
  if (loopDelay > 0) line += `,"event_loop_delay_ms":${loopDelay}`
  if (cause !== undefined) line += `,"error":${JSON.stringify(describe(cause))}`
  if (outcome === 'fault' && exchange.target !== undefined) line += `,"target":${toJson(exchange.target)}`
  if (loggedBy !== undefined && loggedBy.sample < 1 && outcome === 'ok') line += `,"sample":${loggedBy.sample}`
  return `${line},"msg":"${message}"}\n`
}

/** Whether the configuration leaves this request out. */
function isLeftOut({ loggedBy, outcome }: Exchange): boolean {
  if (loggedBy === undefined) return false
  return loggedBy.isOff || (outcome === 'ok' && loggedBy.sample < 1 && Math.random() >= loggedBy.sample)
}

function isStandard({ format, fields }: AccessLogSettings): boolean {
  return format === 'json' && fields === undefined
}

/** Writers of fields by the settings that they are for. */
const writers = new WeakMap<AccessLogSettings, WriteFields>()

function configuredLine(
  of: LineBeginnings,
  settings: AccessLogSettings,
  exchange: Exchange,
  message: string,
  level: number,
  time: string,
): string {
  if (settings.format === 'combined') return combinedLine(exchange)
  let write = writers.get(settings)
  if (write === undefined) writers.set(settings, (write = fieldWriter(settings)))
  return `${beginningOf(of, level, time)}${traceOf(exchange)}${write(exchange)},"msg":"${message}"}\n`
}

/** The last beginning of a line: many lines are written in the same millisecond. */
let beginning = { of: undefined as LineBeginnings | undefined, level: 0, time: '', text: '' }

function beginningOf(of: LineBeginnings, level: number, time: string): string {
  if (beginning.time !== time || beginning.level !== level || beginning.of !== of) {
    beginning = { of, level, time, text: inOnePiece(of[symbols.lsCacheSym][level] + time) }
  }
  return beginning.text
}

/** Known methods, which are few; the text up to the path. */
const ofMethods = new Map(METHODS.map(method => [method, `,"event":"request","method":"${method}","path":`]))

function ofMethod(method: string): string {
  return ofMethods.get(method) ?? `,"event":"request","method":${toJson(method)},"path":`
}

/** The last client: requests of one connection often come one after another. */
let client = { address: '', text: '' }

function ofClient(address: string): string {
  if (client.address !== address) client = { address, text: inOnePiece(`,"client":${toJson(address)}`) }
  return client.text
}

/** Makes V8 join the parts of a text, which a search in it does. */
function inOnePiece(text: string): string {
  NEEDS_ESCAPE.test(text)
  return text
}

/** Formats milliseconds with three decimals. V8 takes several times as long to format a fraction. */
function milliseconds(duration: number): string {
  const microseconds = Math.round(duration * 1_000)
  const rest = microseconds % 1_000
  return `${(microseconds - rest) / 1_000}.${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}`
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

/** The fields of a route, with those of the last request to it. */
interface RouteFields {
  readonly fields: string
  status: number
  outcome: Outcome
  end: string
}

const ofRoutes = new WeakMap<object, RouteFields>()
const NO_ROUTE = {}

/** Formats route, upstream, status and outcome: made once for requests of a route that end alike. */
function endOf(route: Route | typeof NO_ROUTE, status: number, outcome: Outcome): string {
  let known = ofRoutes.get(route)
  if (known === undefined) ofRoutes.set(route, (known = { fields: fieldsOfRoute(route), status: 0, outcome, end: '' }))
  if (known.status !== status || known.outcome !== outcome) {
    known.end = inOnePiece(`${known.fields},"status":${status},"outcome":"${outcome}"`)
    known.status = status
    known.outcome = outcome
  }
  return known.end
}

function fieldsOfRoute({ template, upstreamName, variant }: Partial<Route>): string {
  if (template === undefined) return ''
  const upstream = upstreamName === undefined ? '' : `,"upstream":${JSON.stringify(upstreamName)}`
  const ofVariant = variant === undefined ? '' : `,"variant":${JSON.stringify(variant)}`
  return `,"route":${JSON.stringify(template)}${upstream}${ofVariant}`
}

/** Quotes a text as JSON, with a fast path for text without characters to escape. */
function toJson(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`
}

const NEEDS_ESCAPE = /[^ !#-[\]-~]/

function describe(cause: unknown): { code: string | undefined; message: string } {
  return { code: errorCode(cause), message: toError(cause).message }
}
