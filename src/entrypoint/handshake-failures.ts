import type { Server } from 'node:tls'
import { gatewayMeter } from '../telemetry/scope'
import { ATTR_ERROR_TYPE, METRIC_TLS_HANDSHAKE_FAILURES } from '../telemetry/semconv'
import type { Logger } from '../telemetry/logger'

/** What the commonest failures are called; a client has many ways to fail, and none of them is to make a series. */
const TYPES: readonly (readonly [RegExp, string])[] = [
  [/^ERR_TLS_HANDSHAKE_TIMEOUT$/, 'timeout'],
  [/^ECONNRESET$/, 'reset'],
  [/^ERR_SSL_HTTP_REQUEST$/, 'plain_http'],
  [/^ERR_SSL_(?:UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER|VERSION_TOO_LOW)$/, 'no_common_version'],
  // Above all by clients that do not trust the certificate.
  [/^ERR_SSL_.*_ALERT_/, 'rejected_by_client'],
]

/**
 * Counts connections that never became secure. They are no requests: nobody has asked for anything yet, and port scanners and
 * probes of load balancers do little else.
 */
export function countHandshakeFailures(server: Server, log: Logger): void {
  const failures = gatewayMeter().createCounter(METRIC_TLS_HANDSHAKE_FAILURES, {
    unit: '{handshake}',
    description: 'TLS handshakes that failed',
  })
  for (const type of [...TYPES.map(([, type]) => type), '_OTHER']) failures.add(0, { [ATTR_ERROR_TYPE]: type })
  // Before Node's own listener, which lets the connection go.
  server.prependListener('tlsClientError', (error: NodeJS.ErrnoException, { remoteAddress }) => {
    const { code = '', message } = error
    const [, type = '_OTHER'] = TYPES.find(([pattern]) => pattern.test(code)) ?? []
    failures.add(1, { [ATTR_ERROR_TYPE]: type })
    log.debug({ event: 'tls', client: remoteAddress, error: { code, message } }, 'TLS handshake failed')
  })
}
