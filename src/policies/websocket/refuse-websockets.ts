import { GatewayError } from '../../errors/gateway-error'
import type { Exchange } from '../../exchange/exchange'

/**
 * For routes with `websocket: false`. 403, because the client is understood and is not to have it; 426 would ask for an
 * upgrade instead, and served without one the request would reach an upstream that expects none of its kind. A handshake
 * that comes before the response in front of it is out is no upgrade to anybody (`entrypoint/server.ts`): it is a plain GET
 * at the most, here and, without `Upgrade`, for the upstream.
 *
 * @throws GatewayError `forbidden`
 */
export function refuseWebSockets({ upgrade }: Exchange): void {
  if (upgrade !== undefined) throw new GatewayError('forbidden', { cause: new Error('no WebSockets on this route') })
}
