import { STATUS_CODES } from 'node:http'
import { grpcStatusFields, grpcStatusOf } from '../errors/grpc-status'
import type { Exchange } from './exchange'
import type { GrpcCall } from './grpc-call'
import { addMissingLimitFields, editLocalReply } from './header-edits'
import { addRequestId } from './request-id'

/** A response from the gateway itself instead of an upstream. */
export interface LocalReply {
  readonly status: number
  /** Name, value pairs, `Content-Length` included. */
  readonly fields: readonly string[]
  readonly body: Buffer | string | undefined
  /** Message for a gRPC client; default: the phrase of the status. */
  readonly grpcMessage?: string
}

/** Sends a local reply with the route's response fields. All local replies are sent here. */
export function sendLocalReply(exchange: Exchange, given: LocalReply): void {
  const answer = exchange.grpc === undefined ? given : asGrpcReply(exchange.grpc, given)
  // A small body has usually arrived with its header section but is not parsed yet. Waiting one turn lets the connection
  // stay open.
  if (exchange.bodyIsPending) setImmediate(write, exchange, answer)
  else write(exchange, answer)
}

/** Converts a reply to one that gRPC clients understand: without a body, its status in the header section. */
function asGrpcReply(grpc: GrpcCall, { status, fields, body, grpcMessage }: LocalReply): LocalReply {
  // An answer to a preflight or another gRPC answer stays.
  if (status === 204) return { status, fields, body }
  grpc.status ??= grpcStatusOf(status)
  const extra = [...fields]
  const type = GRPC_TYPES[grpc.form]
  return {
    status: 200,
    fields: ['content-type', type, ...grpcStatusFields(grpc.status, grpcMessage ?? STATUS_CODES[status] ?? '', extra)],
    body: undefined,
  }
}

const GRPC_TYPES = {
  grpc: 'application/grpc',
  web: 'application/grpc-web+proto',
  'web-text': 'application/grpc-web-text+proto',
} as const

/** Adds to the fields of an answer that no upstream gave what every one of them has. */
export function completeLocalReply(exchange: Exchange, status: number, fields: string[]): void {
  const { hooks } = exchange
  // Errors need them too: without CORS fields a browser hides the error from its page.
  if (exchange.corsFields) fields.push(...exchange.corsFields)
  const edits = exchange.route?.responseEdits
  if (edits) editLocalReply(fields, edits, exchange.limitFields)
  addRequestId(fields, exchange)
  if (hooks !== undefined) for (const hook of hooks.onResponse) hook(exchange, { status, fields })
  addMissingLimitFields(fields, exchange.limitFields)
  // The rest of the body is not read; its bytes would be taken for the next request.
  if (exchange.closesConnection) fields.push('Connection', 'close')
}

function write(exchange: Exchange, { status, fields: always, body }: LocalReply): void {
  const { request, response } = exchange
  // The client left meanwhile, or was answered during shutdown.
  if (response.destroyed || response.headersSent) return
  const fields = [...always]
  completeLocalReply(exchange, status, fields)
  // The phrase is explicit: otherwise writeHead() would reuse that of an upstream's response that could not be written.
  response.writeHead(status, STATUS_CODES[status] ?? '', fields)
  response.end(request.method === 'HEAD' ? undefined : body)
}
