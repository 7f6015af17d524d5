import type { RespondConfig } from '../../config/types'
import type { Stage } from '../../exchange/exchange'
import { sendLocalReply, type LocalReply } from '../../exchange/local-reply'

/** Gives every request the same answer: the last stage of a route that has one in the place of an upstream. */
export function respond({ status, headers, body }: RespondConfig): Stage {
  const bytes = body === undefined ? undefined : Buffer.from(body)
  const fields = headers.flatMap(({ name, value }) => [name, value])
  if (bytes && !headers.some(({ name }) => name === 'content-type'))
    fields.push('Content-Type', 'text/plain; charset=utf-8')
  // Of 204 and 304 everybody knows that they have none (RFC 9110 §8.6).
  if (!hasNoContent(status)) fields.push('Content-Length', String(bytes?.length ?? 0))
  const answer: LocalReply = { status, fields, body: bytes }
  return function respondToRequest(exchange) {
    sendLocalReply(exchange, answer)
  }
}

function hasNoContent(status: number): boolean {
  return status === 204 || status === 304
}
