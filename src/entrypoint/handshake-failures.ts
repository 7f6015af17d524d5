import type { Server, TLSSocket } from 'node:tls'
import { gatewayMeter } from '../telemetry/scope'
import { ATTR_ERROR_TYPE, METRIC_TLS_HANDSHAKE_FAILURES } from '../telemetry/semconv'
import type { Logger } from '../telemetry/logger'

/** Code of the error for a server name without certificate. */
export const UNKNOWN_NAME = 'ERR_GATEWAY_UNKNOWN_SERVER_NAME'

/** Values of `error.type` for common failures. The set is bounded: clients must not create metric series. */
const TYPES: readonly (readonly [RegExp, string])[] = [
  [/^ERR_TLS_HANDSHAKE_TIMEOUT$/, 'timeout'],
  [/^ECONNRESET$/, 'reset'],
  [/^ERR_SSL_HTTP_REQUEST$/, 'plain_http'],
  [/^ERR_SSL_(?:UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER|VERSION_TOO_LOW)$/, 'no_common_version'],
  [/^ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE$/, 'client_certificate_missing'],
  [new RegExp(`^${UNKNOWN_NAME}$`), 'unknown_name'],
  // Mostly clients that do not trust the certificate.
  [/^ERR_SSL_.*_ALERT_/, 'rejected_by_client'],
]

const CLIENT_CERTIFICATE_TYPES = ['client_certificate_expired', 'client_certificate_untrusted'] as const
type ClientCertificateFailure = (typeof CLIENT_CERTIFICATE_TYPES)[number] | 'client_certificate_missing'

export interface HandshakeFailures {
  /** Counts a connection that is closed for its client's certificate. */
  count(type: ClientCertificateFailure, socket: TLSSocket): void
}

/**
 * Counts failed TLS handshakes. They are not counted as requests: most come from port scanners and load balancer probes.
 */
export function countHandshakeFailures(server: Server, log: Logger): HandshakeFailures {
  const failures = gatewayMeter().createCounter(METRIC_TLS_HANDSHAKE_FAILURES, {
    unit: '{handshake}',
    description: 'TLS handshakes that failed',
  })
  const types = new Set([...TYPES.map(([, type]) => type), ...CLIENT_CERTIFICATE_TYPES, '_OTHER'])
  for (const type of types) failures.add(0, { [ATTR_ERROR_TYPE]: type })
  const count = (type: string, client: string | undefined, error: object): void => {
    failures.add(1, { [ATTR_ERROR_TYPE]: type })
    log.debug({ event: 'tls', client, type, error }, 'TLS handshake failed')
  }
  // Before Node's own listener, which destroys the connection.
  server.prependListener('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    const { code = '', message } = error
    const refused = refusedCertificate(socket)
    const [, type = '_OTHER'] = TYPES.find(([pattern]) => pattern.test(code)) ?? []
    count(refused ?? type, socket.remoteAddress, {
      code: refused === undefined ? code : authorizationErrorOf(socket),
      message,
    })
  })
  return { count: (type, socket) => count(type, socket.remoteAddress, { code: authorizationErrorOf(socket) }) }
}

/** Returns the failure of a client certificate that Node has refused: it destroys the connection without an error. */
function refusedCertificate(socket: TLSSocket): ClientCertificateFailure | undefined {
  const code = authorizationErrorOf(socket)
  if (code === undefined) return undefined
  return code === 'CERT_HAS_EXPIRED' ? 'client_certificate_expired' : 'client_certificate_untrusted'
}

/** Node stores the code, although its types declare an error. */
function authorizationErrorOf({ authorizationError }: TLSSocket): string | undefined {
  return authorizationError === null || authorizationError === undefined ? undefined : String(authorizationError)
}
