import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { INVALID_TRACEID, trace, type Context } from '@opentelemetry/api'
import type { Exchange } from './exchange'
import type { RequestIdConfig } from './request-id-config'

/** What a log line and an upstream can hold: visible characters, and not too many. */
const USABLE = /^[\x21-\x7e]{1,128}$/

/** The id that a trusted proxy gave the request; otherwise one that has the trace and the span in it, so that it leads to them. */
export function requestIdOf(
  request: IncomingMessage,
  peerIsTrusted: boolean,
  context: Context,
  config: RequestIdConfig | undefined,
): string {
  const given = peerIsTrusted && config !== undefined ? request.headers[config.header] : undefined
  if (typeof given === 'string' && USABLE.test(given)) return given
  const span = trace.getSpanContext(context)
  // Without telemetry there is none.
  return span === undefined || span.traceId === INVALID_TRACEID ? randomUUID() : `${span.traceId}-${span.spanId}`
}

/** Adds id and trace to the header section of an answer, unless the route says otherwise of the fields. */
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
