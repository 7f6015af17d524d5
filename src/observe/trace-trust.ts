import type { IncomingMessage } from 'node:http'
import type { EntrypointConfig } from '../config/types'
import { createPeerTrust } from '../entrypoint/client-address'

/**
 * Whose trace is continued (`entrypoint.traceContext`). A caller that is believed chooses the trace id and whether the
 * trace is sampled, and its baggage goes on to the upstream; of all others nothing is taken over.
 */
export function createTraceTrust({
  traceContext,
  trustedProxies,
}: Pick<EntrypointConfig, 'traceContext' | 'trustedProxies'>): (request: IncomingMessage) => boolean {
  switch (traceContext) {
    case 'all':
      return () => true
    case 'trusted':
      return createPeerTrust(trustedProxies)
    case 'none':
      return () => false
  }
}
