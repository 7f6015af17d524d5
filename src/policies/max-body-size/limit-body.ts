import type { Stage } from '../../exchange/exchange'
import { GatewayError } from '../../errors/gateway-error'

/**
 * Refuses bodies that are too large: by their announced length before any byte is taken (a client that waits for
 * `100 Continue` need not send one), those in chunks as soon as they have grown too long.
 */
export function limitBody(maxBytes: number): Stage {
  return function limitBodySize(exchange) {
    const length = exchange.request.headers['content-length']
    if (length !== undefined && Number(length) > maxBytes) throw new GatewayError('body_too_large')
    exchange.maxBodyBytes = maxBytes
  }
}
