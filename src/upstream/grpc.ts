import { parseGrpcStatus, type GrpcStatus } from '../errors/grpc-status'
import type { Exchange } from '../exchange/exchange'
import { grpcTimeout, type GrpcCall } from '../exchange/grpc-call'
import type { CallOptions } from './call-options'
import type { SilenceLimits } from './call-timer'
import type { ParsedHeaders } from './response-headers'

/** Returns the total timeout of a call: the client's deadline or that of the route, whichever is shorter. */
export function totalOf({ timeoutMs }: GrpcCall, routeMs: number | undefined): number | undefined {
  if (timeoutMs === undefined) return routeMs
  return routeMs === undefined ? timeoutMs : Math.min(timeoutMs, routeMs)
}

/** Returns how long a call may be silent. Over HTTP/1.1 it would hold a connection, so the client's bound stays. */
export function silenceOf({ idleMs }: GrpcCall, { silence, upstream }: CallOptions): SilenceLimits {
  return upstream.isHttp2 ? { upstreamMs: silence.upstreamMs, clientMs: idleMs } : silence
}

/**
 * Adds what a gRPC server needs: `te: trailers`, which belongs to one connection and was removed, and as `grpc-timeout` the
 * time that is left, so that a second attempt does not have the whole time of the first.
 *
 * @param headers flat name, value pairs
 */
export function addGrpcFields(
  headers: string[],
  exchange: Exchange,
  grpc: GrpcCall,
  routeMs: number | undefined,
): void {
  headers.push('te', 'trailers')
  if (grpc.timeoutMs === undefined) return
  const leftMs = exchange.startedAt + (totalOf(grpc, routeMs) as number) - performance.now()
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === 'grpc-timeout') headers[i + 1] = grpcTimeout(leftMs)
  }
}

/** Returns whether a response is a gRPC answer, whose status is in its trailers. */
export function isGrpcAnswer(headers: ParsedHeaders): boolean {
  const type = headers['content-type']
  return typeof type === 'string' && type.startsWith('application/grpc')
}

/** Returns the value of `grpc-status` in trailers; undefined if they have none. */
export function grpcStatusIn(raw: readonly (Buffer | string)[]): GrpcStatus | undefined {
  for (let i = 0; i < raw.length; i += 2) {
    if (String(raw[i]).toLowerCase() === 'grpc-status') return parseGrpcStatus(String(raw[i + 1]))
  }
  return undefined
}
