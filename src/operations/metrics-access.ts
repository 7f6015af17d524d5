import type { IncomingMessage } from 'node:http'
import { createTokenCheck, isNear } from '../access/access'

/**
 * Who may read `/metrics` on the port that faces the clients. With a token only requests that show it: behind a proxy that
 * adds no forwarding header every client looks like a neighbour. Without a token, direct requests from private and loopback
 * addresses.
 */
export function createMetricsAccess(token: string | undefined): (request: IncomingMessage) => boolean {
  return token === undefined ? isNear : createTokenCheck(token)
}
