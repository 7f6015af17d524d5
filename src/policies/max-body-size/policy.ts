import { sizeText } from '../../config/values/size'
import type { Stage } from '../../exchange/exchange'
import { GatewayError } from '../../errors/gateway-error'
import { definePolicy } from '../define-policy'
import { maxBodySizeField } from './schema'

/** Largest request body in bytes; default: the entrypoint's. */
export const maxBodySize = definePolicy({
  name: 'maxBodySize',
  schema: maxBodySizeField(
    "Maximum size of a request's body, instead of `entrypoint.maxBodySize`; above it 413. With `Content-Length` the request is refused before the body is read, and `Expect: 100-continue` gets no 100. A chunked body that grows too long cancels the call.",
  ).optional(),
  resolve: (own, { entrypoint }) => own ?? entrypoint.maxBodySize,
  create: maxBytes => ({ onRequest: limitBody(maxBytes) }),
  refuses: () => ['body_too_large'],
  describe: maxBytes => [{ about: 'size', text: `bodies up to ${sizeText(maxBytes)}` }],
})

/**
 * Refuses too large bodies: by Content-Length before any byte is read (a client that waits for `100 Continue` sends none),
 * chunked bodies as soon as they exceed the bound.
 */
function limitBody(maxBytes: number): Stage {
  return function limitBodySize(exchange) {
    const length = exchange.request.headers['content-length']
    if (length !== undefined && Number(length) > maxBytes) throw new GatewayError('body_too_large')
    exchange.maxBodyBytes = maxBytes
  }
}
