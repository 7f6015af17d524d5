import { validateHeaderName, validateHeaderValue, type ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Http2Response } from '../entrypoint/http2-messages'
import { GatewayError } from '../errors/gateway-error'
import type { Exchange } from '../exchange/exchange'
import { buildResponseHeaders, reasonPhrase, type ParsedHeaders } from './response-headers'
import { joined } from './request-headers'

/** 1xx responses of one request that its client gets. Each costs a write, and the upstream decides how many it sends. */
const MAX_PASSED = 10

/** How many each response has let pass, of those that did. */
const passed = new WeakMap<ServerResponse, number>()

/**
 * Passes a 1xx response on (RFC 9110 §15.2), also one whose meaning is unknown here. `100` never comes, because `Expect` is
 * answered by the gateway, and `101` is no information: without an upgrade it is an invalid answer. What exceeds the bound is dropped: the client does without.
 */
export function passInformation(
  exchange: Exchange,
  controller: Dispatcher.DispatchController,
  statusCode: number,
  headers: ParsedHeaders,
  statusMessage: string | undefined,
): void {
  const { request, response } = exchange
  // An HTTP/1.1 client would take everything after a 101 that it did not ask for as another protocol's.
  if (statusCode <= 101) throw new GatewayError('bad_response', { cause: new Error(`status ${statusCode}`) })
  if (request.httpVersion === '1.0') return // HTTP/1.0 knows no 1xx
  const { socket } = response
  const count = passed.get(response) ?? 0
  // To a client that does not read, an upstream could otherwise say as much as fits into memory.
  if (socket === null || response.headersSent || count >= MAX_PASSED || socket.writableNeedDrain) return
  const fields = buildResponseHeaders(exchange, controller, statusCode, joined(headers['connection']), false)
  if ('sendInformation' in response) {
    passed.set(response, count + 1)
    return writeOnStream(response as Http2Response, statusCode, fields)
  }
  let head = `HTTP/1.1 ${statusCode} ${reasonPhrase(statusMessage)}\r\n`
  try {
    for (let i = 0; i < fields.length; i += 2) head += line(fields[i] as string, fields[i + 1] as string)
  } catch {
    return // what Node would not write in a response does not get around it here
  }
  passed.set(response, count + 1)
  socket.write(`${head}\r\n`, 'latin1')
}

/** What would not be written in a response is left out here as well. */
function writeOnStream(response: Http2Response, statusCode: number, fields: readonly string[]): void {
  try {
    response.sendInformation(statusCode, fields)
  } catch {
    // The client does without.
  }
}

function line(name: string, value: string): string {
  validateHeaderName(name)
  validateHeaderValue(name, value)
  return `${name}: ${value}\r\n`
}
