import { STATUS_CODES } from 'node:http'
import type { Exchange } from './exchange'
import { editLocalReply } from './header-edits'
import { addRequestId } from './request-id'

/** What the gateway itself says to a request, in the place of an upstream. */
export interface LocalReply {
  readonly status: number
  /** Name, value pairs, `Content-Length` included. */
  readonly fields: readonly string[]
  readonly body: Buffer | string | undefined
}

/** Sends it, with what the route has all its answers say. The only place where this is done. */
export function sendLocalReply(exchange: Exchange, answer: LocalReply): void {
  // A small body mostly came with its header section and is only not parsed yet: a moment later the connection can stay.
  if (exchange.bodyIsPending) setImmediate(write, exchange, answer)
  else write(exchange, answer)
}

function write(exchange: Exchange, { status, fields: always, body }: LocalReply): void {
  const { request, response, hooks } = exchange
  // The client left meanwhile, or was answered because the process stops.
  if (response.destroyed || response.headersSent) return
  const fields = [...always]
  // Also errors: without them a browser hides from its page what went wrong.
  if (exchange.corsFields) fields.push(...exchange.corsFields)
  const edits = exchange.route?.responseEdits
  if (edits) editLocalReply(fields, edits, response)
  addRequestId(fields, exchange)
  if (hooks !== undefined) for (const hook of hooks.onResponse) hook(exchange, { status, fields })
  // The rest of the body is not worth reading, and unread bytes would be taken for the next request.
  if (exchange.closesConnection) fields.push('Connection', 'close')
  // With its phrase: writeHead() would take the one of an upstream's answer that could not be written.
  response.writeHead(status, STATUS_CODES[status] ?? '', fields)
  response.end(request.method === 'HEAD' ? undefined : body)
}
