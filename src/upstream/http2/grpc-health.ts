import { parseGrpcStatus } from '../../errors/grpc-status'
import type { ProbeAnswer, ProbeRequest } from './http2-probe'

/** `ServingStatus` of `grpc.health.v1`. */
const SERVING_STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']

/** Creates the request of `grpc.health.v1.Health/Check`. The two messages of one field need no protobuf library. */
export function grpcHealthRequest(
  service: string,
  headers: Readonly<Record<string, string>>,
): Pick<ProbeRequest, 'method' | 'path' | 'headers' | 'body'> {
  const name = Buffer.from(service, 'utf8')
  // Field 1, a string; left out if it is empty. Names are shorter than 128 bytes or take a second byte of length.
  const length = name.length < 128 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7]
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, ...length]), name])
  const frame = Buffer.alloc(5)
  frame.writeUInt32BE(message.length, 1)
  return {
    method: 'POST',
    path: '/grpc.health.v1.Health/Check',
    headers: { ...headers, 'content-type': 'application/grpc', te: 'trailers' },
    body: Buffer.concat([frame, message]),
  }
}

/** @returns why the check failed; undefined if the service is SERVING */
export function grpcHealthFailure({ status, headers, trailers, body }: ProbeAnswer): string | undefined {
  if (status !== 200) return `status ${status}`
  const written = trailers['grpc-status'] ?? headers['grpc-status']
  const code = parseGrpcStatus(String(written))
  if (code !== 'OK') return `grpc-status ${code}`
  // Frame of 5 bytes, then field 1, an enum; left out for UNKNOWN.
  const serving = body.length >= 7 && body[5] === 0x08 ? (body[6] as number) : 0
  return serving === 1 ? undefined : (SERVING_STATUSES[serving] ?? 'UNKNOWN')
}
