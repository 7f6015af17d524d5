import { errors } from 'undici'
import type { Reason } from '../errors/reasons'
import { errorCode } from '../errors/error-code'
import { GatewayError } from '../errors/gateway-error'

/** Maps error codes of undici, the resolver, the socket and the TLS layer to reasons. */
const REASON_BY_CODE: Readonly<Record<string, Reason>> = {
  ECONNREFUSED: 'connect_refused',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  EACCES: 'unreachable',
  ETIMEDOUT: 'connect_timeout',
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  EAI_NODATA: 'dns',
  EPROTO: 'tls',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  UND_ERR_SOCKET: 'reset',
  UND_ERR_HEADERS_TIMEOUT: 'response_timeout',
  UND_ERR_BODY_TIMEOUT: 'response_timeout',
  UND_ERR_HEADERS_OVERFLOW: 'bad_response',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'bad_response',
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'bad_response',
  // The client's request cannot be expressed as a request to the upstream.
  UND_ERR_INVALID_ARG: 'bad_request',
  UND_ERR_NOT_SUPPORTED: 'bad_request',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'bad_request',
  ERR_HTTP2_ERROR: 'bad_response',
  // A GOAWAY with an error, and a reset.
  ERR_HTTP2_SESSION_ERROR: 'reset',
  ERR_HTTP2_STREAM_ERROR: 'reset',
  ERR_HTTP2_INVALID_PSEUDOHEADER: 'bad_request',
  ERR_HTTP2_INVALID_CONNECTION_HEADERS: 'bad_request',
  ERR_HTTP2_HEADER_SINGLE_VALUE: 'bad_request',
  ERR_HTTP2_INVALID_HEADER_VALUE: 'bad_request',
  ERR_INVALID_CHAR: 'bad_response',
  ERR_HTTP_INVALID_HEADER_VALUE: 'bad_response',
  ERR_HTTP_INVALID_STATUS_CODE: 'bad_response',
  // An assertion of undici about the response, such as a status below 100.
  ERR_ASSERTION: 'bad_response',
}

const TLS_CODE = /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/
/** Matches errors for an unrequested protocol switch, or a response before there was a request. */
const UNASKED = /^bad (?:upgrade|response)$/

/** Creates the error for a full queue of calls, or a call that waited too long for a connection. */
export function overloaded(): GatewayError {
  return new GatewayError('overloaded', { headers: ['Retry-After', '1'] })
}

/** Maps the error of an upstream call to one reason, with the original error as its cause. */
export function toGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  return new GatewayError(reasonFor(error), { cause: error })
}

function reasonFor(error: unknown): Reason {
  // HTTPParserError mostly has no code.
  if (error instanceof errors.HTTPParserError) return 'bad_response'
  if (error instanceof errors.SocketError && UNASKED.test(error.message)) return 'bad_response'
  const code = errorCode(error)
  if (code === undefined) return 'internal'
  const known = REASON_BY_CODE[code]
  if (known) return known
  return TLS_CODE.test(code) ? 'tls' : 'internal'
}
