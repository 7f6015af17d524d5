import type { IncomingMessage } from 'node:http'
import type { EntrypointConfig } from '../config/types'
import { createPeerTrust } from '../entrypoint/client-address'

/**
 * Decides whose trace is continued (`entrypoint.traceContext`). A trusted caller chooses the trace id and the sampling
 * decision, and its baggage is forwarded to the upstream; nothing is accepted from other callers.
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
