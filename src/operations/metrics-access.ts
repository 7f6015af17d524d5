import type { IncomingMessage } from 'node:http'
import { createTokenCheck, isNear } from '../access/access'

/**
 * Who may read `/metrics` on the port that faces the clients: whoever shows the token; without it, direct requests from
 * private and loopback addresses.
 */
export function createMetricsAccess(token: string | undefined): (request: IncomingMessage) => boolean {
  const hasToken = createTokenCheck(token)
  return function mayReadMetrics(request) {
    return hasToken(request) || isNear(request)
  }
}
