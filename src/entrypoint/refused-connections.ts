import type { Server } from 'node:net'
import { CLIENT_DROP } from './connections-per-client'
import { gatewayMeter } from '../telemetry/scope'
import { ATTR_ERROR_TYPE, METRIC_CONNECTIONS_REFUSED } from '../telemetry/semconv'
import type { Logger } from '../telemetry/logger'

const CAUSES = ['max_connections', 'max_connections_per_client', 'no_descriptors', 'other'] as const
type Cause = (typeof CAUSES)[number]
/** Time without refused connections after which the next one starts a new episode. */
const EPISODE_MS = 10_000

/**
 * Counts connections that were closed on arrival or could not be accepted, and logs the first of each episode. Node closes
 * them silently, and ends the process if accept errors have no listener.
 */
export function countRefusedConnections(server: Server, log: Logger): void {
  const refused = gatewayMeter().createCounter(METRIC_CONNECTIONS_REFUSED, {
    unit: '{connection}',
    description: 'Client connections that were closed on arrival',
  })
  // Each series starts with 0: otherwise `increase()` would miss the first refusal.
  for (const cause of CAUSES) refused.add(0, { [ATTR_ERROR_TYPE]: cause })
  const lastMs = new Map<Cause, number>()
  const count = (cause: Cause, text: string): void => {
    refused.add(1, { [ATTR_ERROR_TYPE]: cause })
    const now = Date.now()
    if (now - (lastMs.get(cause) ?? 0) > EPISODE_MS) log.warn({ event: 'connections', cause }, text)
    lastMs.set(cause, now)
  }
  server.on('drop', () => {
    count(
      'max_connections',
      `new client connections are closed: ${server.maxConnections} are open, and no more are accepted`,
    )
  })
  server.on(CLIENT_DROP, (address: string) => {
    count(
      'max_connections_per_client',
      `connections of ${address} are closed: entrypoint.maxConnectionsPerClient is reached`,
    )
  })
  server.on('error', (error: NodeJS.ErrnoException) => {
    // Errors of `listen()` are reported by its caller.
    if (!server.listening) return
    if (error.code === 'EMFILE' || error.code === 'ENFILE') {
      count(
        'no_descriptors',
        'client connections cannot be accepted: too many files and connections are open (ulimit -n)',
      )
    } else count('other', `client connections cannot be accepted: ${error.message}`)
  })
}
