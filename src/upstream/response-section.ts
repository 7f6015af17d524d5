import { STATUS_CODES } from 'node:http'
import type { Writable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Exchange } from '../exchange/exchange'
import { joined } from './request-headers'
import {
  fieldsForClient,
  reasonPhrase,
  refuseTransferCodings,
  writeHeaderSection,
  type ParsedHeaders,
} from './response-headers'
import { transformBody } from './transform-body'

/**
 * Writes the header section of an upstream's response to the client.
 *
 * @param translatedHost the host that the upstream received in place of the client's
 * @returns the destination of the body: the client's response, or the first body transform of a policy
 * @throws GatewayError `bad_response` if the response cannot be passed on
 */
export function relayHeaderSection(
  exchange: Exchange,
  controller: Dispatcher.DispatchController,
  statusCode: number,
  headers: ParsedHeaders,
  statusMessage: string | undefined,
  translatedHost: string | undefined,
): Writable {
  const { response, hooks } = exchange
  refuseTransferCodings(joined(headers['transfer-encoding']))
  const fields = fieldsForClient(exchange, controller, statusCode, headers, translatedHost)
  const changesBody = hooks !== undefined && hooks.onBody.length > 0
  const sink = changesBody ? transformBody(exchange, hooks.onBody, { status: statusCode, fields }) : response
  // A response sent before the whole request body was read leaves unread bytes on the connection.
  if (exchange.closesConnection) fields.push('Connection', 'close')
  writeHeaderSection(response, statusCode, reasonPhrase(statusMessage), fields)
  return sink
}

/**
 * Writes the header section that switches the client's connection to WebSocket.
 *
 * @throws GatewayError `bad_response` on fields that Node refuses to write; the call can then still fail with an answer
 */
export function relayUpgrade(
  exchange: Exchange,
  controller: Dispatcher.DispatchController,
  statusCode: number,
  headers: ParsedHeaders,
  translatedHost: string | undefined,
): void {
  const fields = fieldsForClient(exchange, controller, statusCode, headers, translatedHost)
  fields.push('Connection', 'Upgrade', 'Upgrade', 'websocket')
  writeHeaderSection(exchange.response, statusCode, STATUS_CODES[statusCode] ?? '', fields)
  exchange.response.flushHeaders()
}

/**
 * Returns the number of body bytes that the header section announces; -1 if it announces none. Also for gRPC, whose answer
 * is complete only with its trailers.
 */
export function announcedLength(exchange: Exchange, headers: ParsedHeaders): number {
  const length = headers['content-length']
  return typeof length === 'string' && exchange.request.method !== 'HEAD' && exchange.grpc === undefined
    ? Number(length)
    : -1
}
