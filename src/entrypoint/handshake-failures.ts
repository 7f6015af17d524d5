import type { Server } from 'node:tls'
import { gatewayMeter } from '../telemetry/scope'
import { ATTR_ERROR_TYPE, METRIC_TLS_HANDSHAKE_FAILURES } from '../telemetry/semconv'
import type { Logger } from '../telemetry/logger'

/** Values of `error.type` for common failures. The set is bounded: clients must not create metric series. */
const TYPES: readonly (readonly [RegExp, string])[] = [
  [/^ERR_TLS_HANDSHAKE_TIMEOUT$/, 'timeout'],
  [/^ECONNRESET$/, 'reset'],
  [/^ERR_SSL_HTTP_REQUEST$/, 'plain_http'],
  [/^ERR_SSL_(?:UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER|VERSION_TOO_LOW)$/, 'no_common_version'],
  // Mostly clients that do not trust the certificate.
  [/^ERR_SSL_.*_ALERT_/, 'rejected_by_client'],
]

/**
 * Counts failed TLS handshakes. They are not counted as requests: most come from port scanners and load balancer probes.
 */
export function countHandshakeFailures(server: Server, log: Logger): void {
  const failures = gatewayMeter().createCounter(METRIC_TLS_HANDSHAKE_FAILURES, {
    unit: '{handshake}',
    description: 'TLS handshakes that failed',
  })
  for (const type of [...TYPES.map(([, type]) => type), '_OTHER']) failures.add(0, { [ATTR_ERROR_TYPE]: type })
  // Before Node's own listener, which destroys the connection.
  server.prependListener('tlsClientError', (error: NodeJS.ErrnoException, { remoteAddress }) => {
    const { code = '', message } = error
    const [, type = '_OTHER'] = TYPES.find(([pattern]) => pattern.test(code)) ?? []
    failures.add(1, { [ATTR_ERROR_TYPE]: type })
    log.debug({ event: 'tls', client: remoteAddress, error: { code, message } }, 'TLS handshake failed')
  })
}
