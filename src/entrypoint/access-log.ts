import { errorCode, toError } from '../errors/error-code'
import type { Exchange } from '../exchange'
import type { Logger } from '../telemetry/logger'

/** One line per request, written when its response closes. The query stays out: it may carry secrets. */
export function logAccess(log: Logger, exchange: Exchange): void {
  const { request, route, outcome, reason, cause, tunnel } = exchange
  const line = {
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
  if (outcome !== 'fault') log.info(line, 'request')
  else log.error({ ...line, target: exchange.target }, 'request failed')
}

function describe(cause: unknown): { code: string | undefined; message: string } | undefined {
  if (cause === undefined) return undefined
  return { code: errorCode(cause), message: toError(cause).message }
}
