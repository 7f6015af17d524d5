import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import { isSpanContextValid, trace } from '@opentelemetry/api'
import { hasBody, type Exchange } from '../exchange/exchange'
import { sendLocalReply } from '../exchange/local-reply'
import { GatewayError } from './gateway-error'
import { problemDetails, problemFields } from './problem-details'
import { REASONS, type Reason } from './reasons'

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
  const body = problemDetails(failure.reason, traceId(exchange), failure.members)
  sendLocalReply(exchange, {
    status: failure.status,
    fields: [...problemFields(body), ...failure.headers],
    body,
  })
}

/**
 * Turns a request away before it becomes an exchange: no span, no log line, because what cannot be served must not cost much.
 * Whoever calls it counts it.
 */
export function rejectEarly(
  request: IncomingMessage,
  response: ServerResponse,
  reason: Reason,
  { fields, closesConnection }: { readonly fields: readonly string[]; readonly closesConnection: boolean },
): void {
  const { status } = REASONS[reason]
  const body = problemDetails(reason)
  const headers = [...problemFields(body), ...fields]
  // The rest of the body is not worth waiting for.
  if (closesConnection || hasBody(request)) headers.push('Connection', 'close')
  response.writeHead(status, STATUS_CODES[status], headers)
  response.end(request.method === 'HEAD' ? undefined : body)
}

function traceId(exchange: Exchange): string | undefined {
  const span = trace.getSpanContext(exchange.context)
  return span && isSpanContextValid(span) ? span.traceId : undefined
}
