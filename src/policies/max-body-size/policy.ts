import { sizeText } from '../../config/values/size'
import type { Stage } from '../../exchange/exchange'
import { GatewayError } from '../../errors/gateway-error'
import { definePolicy } from '../define-policy'
import { maxBodySizeField } from './schema'

/** Bound of a request's body in bytes; the entrypoint's where the route has none of its own. */
export const maxBodySize = definePolicy({
  name: 'maxBodySize',
  schema: maxBodySizeField(
    "Size of a request's body, at the most, in the place of `entrypoint.maxBodySize`; above it 413. By `Content-Length` before any of it is read, so that `Expect: 100-continue` never gets its 100; a body in chunks when it has grown too long, which cancels the call.",
  ).optional(),
  resolve: (own, { entrypoint }) => own ?? entrypoint.maxBodySize,
  create: maxBytes => ({ onRequest: limitBody(maxBytes) }),
  refuses: () => ['body_too_large'],
  describe: maxBytes => [{ about: 'size', text: `bodies up to ${sizeText(maxBytes)}` }],
})

/**
 * Refuses bodies that are too large: by their announced length before any byte is taken (a client that waits for
 * `100 Continue` need not send one), those in chunks as soon as they have grown too long.
 */
function limitBody(maxBytes: number): Stage {
  return function limitBodySize(exchange) {
    const length = exchange.request.headers['content-length']
    if (length !== undefined && Number(length) > maxBytes) throw new GatewayError('body_too_large')
    exchange.maxBodyBytes = maxBytes
  }
}
