import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { INVALID_TRACEID, trace, type Context } from '@opentelemetry/api'
import type { Exchange } from './exchange'
import type { RequestIdConfig } from './request-id-config'

/** Request ids that are safe for logs and upstreams: up to 128 visible characters. */
const USABLE = /^[\x21-\x7e]{1,128}$/

/**
 * Returns the request id from a trusted proxy; otherwise one made of trace and span id, so that it leads to the trace.
 */
export function requestIdOf(
  request: IncomingMessage,
  peerIsTrusted: boolean,
  context: Context,
  config: RequestIdConfig | undefined,
): string {
  const given = peerIsTrusted && config !== undefined ? request.headers[config.header] : undefined
  if (typeof given === 'string' && USABLE.test(given)) return given
  const span = trace.getSpanContext(context)
  // Without telemetry there is no trace.
  return span === undefined || span.traceId === INVALID_TRACEID ? nextId() : `${span.traceId}-${span.spanId}`
}

/** Counts in an id always have six digits, which are small integers for V8. */
const FIRST_COUNT = 100_000
const LAST_COUNT = 999_999
let prefix = ''
let count = LAST_COUNT

/** Returns a unique id: 116 random bits, drawn again after 900,000 ids, and a count. An id is not a secret. */
function nextId(): string {
  if (count === LAST_COUNT) {
    prefix = `${randomBytes(15).toString('hex').slice(1)}-`
    count = FIRST_COUNT
  } else count++
  return prefix + count
}

/** Adds request id and trace to a response's header section, unless the route edits these fields. */
export function addRequestId(fields: string[], exchange: Exchange): void {
  const { requestIdConfig: config, route, context } = exchange
  if (config === undefined) return
  const dropped = route?.responseEdits?.dropped
  if (!dropped?.has(config.header)) fields.push(config.header, exchange.requestId)
  if (!answersWithTrace(exchange) || dropped?.has(config.traceHeader)) return
  const span = trace.getSpanContext(context)
  if (span === undefined || span.traceId === INVALID_TRACEID) return
  fields.push(config.traceHeader, `00-${span.traceId}-${span.spanId}-0${span.traceFlags.toString(16)}`)
}

export function answersWithTrace({ requestIdConfig: config, peerIsTrusted }: Exchange): boolean {
  return config !== undefined && (config.traceFor === 'all' || (config.traceFor === 'trusted' && peerIsTrusted))
}
