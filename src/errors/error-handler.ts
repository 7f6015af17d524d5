import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import { isSpanContextValid, trace } from '@opentelemetry/api'
import { hasBody, type Exchange } from '../exchange/exchange'
import { sendLocalReply } from '../exchange/local-reply'
import { GatewayError } from './gateway-error'
import { errorRepresentation } from './error-answer'
import { errorFields, problemDetails } from './problem-details'
import { proxyStatus } from './proxy-status'
import { REASONS, type Reason } from './reasons'

/**
 * Ends a failed exchange: records the outcome and answers the client. Failures are answered only here; span, metric and
 * log line are written from the outcome when the response closes.
 */
export function handleError(exchange: Exchange, error: unknown): void {
  const failure = error instanceof GatewayError ? error : new GatewayError('internal', { cause: error })
  exchange.conclude(failure.outcome, failure.reason, failure.cause)
  const { response } = exchange
  if (response.destroyed || response.writableEnded) return
  if (response.headersSent) {
    // The status is already sent. Closing the connection is the only way left to show that the response is incomplete.
    // The error is passed along so that the stock instrumentation does not record that the client left.
    response.destroy(failure)
    return
  }
  const { errorAnswers, route, requestId, request } = exchange
  const { reason, headers } = failure
  const retryAfter = headers[headers.indexOf('Retry-After') + 1]
  const values = {
    reason,
    requestId,
    traceId: traceId(exchange),
    retryAfter: headers.includes('Retry-After') ? retryAfter : undefined,
  }
  const page = route?.errorPage ?? errorAnswers?.page
  const { body, contentType } = errorRepresentation(request, values, failure.members, page)
  const fields = [...errorFields(body, contentType), ...headers]
  if (errorAnswers?.proxyName !== undefined) fields.push('Proxy-Status', proxyStatus(errorAnswers.proxyName, reason))
  sendLocalReply(exchange, { status: failure.status, fields, body })
}

/**
 * Rejects a request before it becomes an exchange: without span and log line, because rejected load must stay cheap. The
 * caller counts it.
 */
export function rejectEarly(
  request: IncomingMessage,
  response: ServerResponse,
  reason: Reason,
  { fields, closesConnection }: { readonly fields: readonly string[]; readonly closesConnection: boolean },
): void {
  const { status } = REASONS[reason]
  const body = problemDetails(reason)
  const headers = [...errorFields(body, 'application/problem+json'), ...fields]
  // The rest of the body is not read.
  if (closesConnection || hasBody(request)) headers.push('Connection', 'close')
  response.writeHead(status, STATUS_CODES[status], headers)
  response.end(request.method === 'HEAD' ? undefined : body)
}

function traceId(exchange: Exchange): string | undefined {
  const span = trace.getSpanContext(exchange.context)
  return span && isSpanContextValid(span) ? span.traceId : undefined
}
