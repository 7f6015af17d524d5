import { isSpanContextValid, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Exchange } from '../exchange'
import { ATTR_ERROR_TYPE, ATTR_OUTCOME, ATTR_REASON } from '../telemetry/semconv'
import { GatewayError } from './gateway-error'
import { REASONS } from './reasons'

/**
 * Ends a failed exchange: the verdict is noted, the span marked, the client answered. The only place where this is done;
 * the log line and the metric follow from the verdict when the response closes.
 */
export function handleError(exchange: Exchange, error: unknown): void {
  const failure = error instanceof GatewayError ? error : new GatewayError('internal', { cause: error })
  exchange.conclude(failure.outcome, failure.reason, failure.cause)
  markSpan(exchange, failure)
  const { response } = exchange
  if (response.destroyed || response.writableEnded) return
  if (response.headersSent) {
    // Too late for a status. A broken connection is the one way left to say that the response is not whole.
    response.destroy()
    return
  }
  answer(exchange, failure)
}

function markSpan(exchange: Exchange, failure: GatewayError): void {
  const span = trace.getSpan(exchange.context)
  if (!span?.isRecording()) return
  span.setAttributes({ [ATTR_OUTCOME]: failure.outcome, [ATTR_REASON]: failure.reason })
  if (failure.outcome !== 'fault') return // a refusal is the gateway working: the status stays unset
  span.setAttribute(ATTR_ERROR_TYPE, failure.reason)
  span.setStatus({ code: SpanStatusCode.ERROR, message: REASONS[failure.reason].title })
  if (failure.cause instanceof Error) span.recordException(failure.cause)
}

/** Problem details (RFC 9457): says what happened and under which trace, and nothing of what is behind the gateway. */
function answer(exchange: Exchange, failure: GatewayError): void {
  const { request, response } = exchange
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
  // The rest of the body is not worth reading, and unread bytes would be taken for the next request.
  if (exchange.bodyIsPending) headers.push('Connection', 'close')
  response.writeHead(failure.status, headers)
  response.end(request.method === 'HEAD' ? undefined : body)
}

function traceId(exchange: Exchange): string | undefined {
  const span = trace.getSpanContext(exchange.context)
  return span && isSpanContextValid(span) ? span.traceId : undefined
}
