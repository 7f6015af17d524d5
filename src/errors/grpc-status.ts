import { REASONS, type Reason } from './reasons'

/** Names of the status codes of gRPC, by number. */
export const GRPC_STATUSES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const

export type GrpcStatus = (typeof GRPC_STATUSES)[number]

/**
 * Statuses that say that the server failed, with the HTTP status that stands for them in `conditions` of retries, circuits
 * and ejection. The others are answers to what the client asked (the same split as for spans in the RPC conventions).
 */
const FAULTS: Readonly<Partial<Record<GrpcStatus, number>>> = {
  UNKNOWN: 500,
  DEADLINE_EXCEEDED: 504,
  UNIMPLEMENTED: 501,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  DATA_LOSS: 500,
}

/** Returns the HTTP status that stands for a failure of the server; undefined if the status is none. */
export function faultStatusOf(status: GrpcStatus): number | undefined {
  return FAULTS[status]
}

/** Parses `grpc-status`. Numbers outside the table are UNKNOWN, as clients treat them. */
export function parseGrpcStatus(value: string): GrpcStatus {
  return /^\d{1,2}$/.test(value) ? (GRPC_STATUSES[Number(value)] ?? 'UNKNOWN') : 'UNKNOWN'
}

/** Statuses of the gateway's own answers, by HTTP status. */
const BY_HTTP_STATUS: Readonly<Record<number, GrpcStatus>> = {
  200: 'OK',
  204: 'OK',
  400: 'INTERNAL',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'UNIMPLEMENTED',
  405: 'UNIMPLEMENTED',
  408: 'CANCELLED',
  413: 'RESOURCE_EXHAUSTED',
  414: 'RESOURCE_EXHAUSTED',
  429: 'RESOURCE_EXHAUSTED',
  431: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  501: 'UNIMPLEMENTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
  508: 'FAILED_PRECONDITION',
}

export function grpcStatusOf(httpStatus: number): GrpcStatus {
  return BY_HTTP_STATUS[httpStatus] ?? 'UNKNOWN'
}

/** Reasons whose status differs from that of their HTTP status. */
const BY_REASON: Readonly<Partial<Record<Reason, GrpcStatus>>> = {
  // The target's bytes were no valid answer: not a reason to try again elsewhere.
  bad_response: 'INTERNAL',
  connect_timeout: 'UNAVAILABLE',
}

export function grpcStatusOfReason(reason: Reason): GrpcStatus {
  return BY_REASON[reason] ?? grpcStatusOf(REASONS[reason].status)
}

/**
 * Returns the fields of a status, for a header section that is the whole answer (trailers-only) or for trailers.
 *
 * @param extra fields such as `Retry-After`, flat name, value pairs
 */
export function grpcStatusFields(status: GrpcStatus, message: string, extra: readonly string[] = []): string[] {
  const fields = ['grpc-status', String(GRPC_STATUSES.indexOf(status)), 'grpc-message', percentEncoded(message)]
  for (let i = 0; i < extra.length; i += 2) {
    const [name, value] = [(extra[i] as string).toLowerCase(), extra[i + 1] as string]
    if (name.startsWith('content-')) continue
    fields.push(name, value)
    // The delay before the client's next attempt (gRFC A6); a retry policy without it would come back at once.
    if (name === 'retry-after' && /^\d+$/.test(value)) fields.push('grpc-retry-pushback-ms', `${value}000`)
  }
  return fields
}

/** Encodes a message as the gRPC specification asks: bytes of UTF-8, `%` and what is not printable ASCII escaped. */
function percentEncoded(message: string): string {
  let text = ''
  for (const byte of Buffer.from(message, 'utf8')) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25
    text += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return text
}
