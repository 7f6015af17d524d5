import type { IncomingMessage } from 'node:http'
import { createTokenCheck, isNear } from '../access/access'

/**
 * Decides who may read `/metrics` on the client port. With a token, only requests that present it, because behind a
 * proxy without forwarding headers every client seems local. Without a token, direct requests from private and loopback
 * addresses.
 */
export function createMetricsAccess(token: string | undefined): (request: IncomingMessage) => boolean {
  return token === undefined ? isNear : createTokenCheck(token)
}
