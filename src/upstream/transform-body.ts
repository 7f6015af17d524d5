import { pipeline, type Writable } from 'node:stream'
import type { BodyHook, Exchange, ResponseHead } from '../exchange/exchange'

/**
 * Puts what policies make of a response body in front of the client's response, in their order.
 *
 * @param head loses its `Content-Length` where the body is changed: the new length is not known before its end
 * @returns where the upstream's body goes
 */
export function transformBody(exchange: Exchange, hooks: readonly BodyHook[], head: ResponseHead): Writable {
  const { request, response } = exchange
  if (request.method === 'HEAD' || head.status === 204 || head.status === 304) return response
  const transforms = hooks.flatMap(hook => hook(exchange, head) ?? [])
  const [first] = transforms
  if (first === undefined) return response
  for (let i = head.fields.length - 2; i >= 0; i -= 2) {
    if (head.fields[i]?.toLowerCase() === 'content-length') head.fields.splice(i, 2)
  }
  // Before `pipeline` destroys the response, which would be taken for a client that left.
  for (const transform of transforms) {
    transform.once('error', error => exchange.conclude('fault', 'internal', error))
  }
  pipeline([...transforms, response], ignore)
  return first
}

/** The exchange ends when its response closes, as every other. */
function ignore(): void {}
