import { pipeline, type Writable } from 'node:stream'
import type { BodyHook, Exchange, ResponseHead } from '../exchange/exchange'

/**
 * Pipes the response body through the transforms of policies, in order, to the client's response.
 *
 * @param head loses its `Content-Length` if the body is transformed, because the new length is not known in advance
 * @returns the stream to which the upstream's body is written
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
  // Concluded before `pipeline` destroys the response, which would look like a client that left.
  for (const transform of transforms) {
    transform.once('error', error => exchange.conclude('fault', 'internal', error))
  }
  pipeline([...transforms, response], ignore)
  return first
}

/** No callback is needed: the exchange ends when its response closes. */
function ignore(): void {}
