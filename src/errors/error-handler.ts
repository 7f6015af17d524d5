import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import { isSpanContextValid, trace } from '@opentelemetry/api'
import { hasBody, type Exchange } from '../exchange/exchange'
import { grpcWebTrailers, isGrpc, type GrpcCall } from '../exchange/grpc-call'
import { sendLocalReply } from '../exchange/local-reply'
import { GatewayError } from './gateway-error'
import { errorRepresentation } from './error-answer'
import { grpcStatusFields, grpcStatusOfReason } from './grpc-status'
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
  const { grpc } = exchange
  if (grpc !== undefined) grpc.status ??= grpcStatusOfReason(failure.reason)
  if (response.headersSent) {
    if (grpc !== undefined && response.writableLength === 0) return endGrpc(exchange, grpc, failure)
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
  sendLocalReply(exchange, { status: failure.status, fields, body, grpcMessage: failure.message })
}

/**
 * Ends a gRPC answer that has begun by trailers with the failure's status. A reset would tell the client less: it would be
 * UNAVAILABLE or INTERNAL whatever happened.
 */
function endGrpc({ response }: Exchange, grpc: GrpcCall, failure: GatewayError): void {
  const trailers = pairsOf(grpcStatusFields(grpc.status ?? 'UNKNOWN', failure.message))
  if (grpc.form === 'grpc') {
    response.addTrailers(trailers)
    return void response.end()
  }
  const frame = grpcWebTrailers(trailers)
  response.end(grpc.form === 'web' ? frame : frame.toString('base64'))
}

function pairsOf(fields: readonly string[]): [string, string][] {
  return fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1] as string] as [string, string]] : []))
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
  if (isGrpc(request)) {
    const status = grpcStatusFields(grpcStatusOfReason(reason), REASONS[reason].title, fields)
    response.writeHead(200, ['content-type', 'application/grpc', ...status])
    return void response.end()
  }
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
