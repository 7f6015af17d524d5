import { STATUS_CODES } from 'node:http'
import { isSpanContextValid, trace } from '@opentelemetry/api'
import type { Exchange } from '../exchange'
import { editOwnAnswer } from '../header-edits'
import { GatewayError } from './gateway-error'
import { REASONS } from './reasons'

/**
 * Ends a failed exchange: the verdict is noted and the client answered. The only place where this is done; span, metric
 * and log line follow from the verdict when the response closes.
 */
export function handleError(exchange: Exchange, error: unknown): void {
  const failure = error instanceof GatewayError ? error : new GatewayError('internal', { cause: error })
  exchange.conclude(failure.outcome, failure.reason, failure.cause)
  const { response } = exchange
  if (response.destroyed || response.writableEnded) return
  if (response.headersSent) {
    // Too late for a status. A broken connection is the one way left to say that the response is not whole. With the
    // error, so that the stock instrumentation does not take it for the client's doing.
    response.destroy(failure)
    return
  }
  // A small body mostly came with its header section and is only not parsed yet: a moment later the connection can stay.
  if (exchange.bodyIsPending) setImmediate(answer, exchange, failure)
  else answer(exchange, failure)
}

/** Problem details (RFC 9457): says what happened and under which trace, and nothing of what is behind the gateway. */
function answer(exchange: Exchange, failure: GatewayError): void {
  const { request, response } = exchange
  if (response.destroyed || response.headersSent) return
  const body = JSON.stringify({
    type: `urn:myesi-gateway:problem:${failure.reason}`,
    title: REASONS[failure.reason].title,
    status: failure.status,
    outcome: failure.outcome,
    reason: failure.reason,
    trace_id: traceId(exchange),
  })
  const headers = [
    'Content-Type',
    'application/problem+json',
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Cache-Control',
    'no-store',
    ...failure.headers,
  ]
  const edits = exchange.route?.responseEdits
  if (edits) editOwnAnswer(headers, edits, response)
  // The rest of the body is not worth reading, and unread bytes would be taken for the next request.
  if (exchange.closesConnection) headers.push('Connection', 'close')
  // With its phrase: writeHead() would take the one of an upstream's answer that could not be written.
  response.writeHead(failure.status, STATUS_CODES[failure.status], headers)
  response.end(request.method === 'HEAD' ? undefined : body)
}

function traceId(exchange: Exchange): string | undefined {
  const span = trace.getSpanContext(exchange.context)
  return span && isSpanContextValid(span) ? span.traceId : undefined
}
