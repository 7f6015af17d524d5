import { validateHeaderName, validateHeaderValue, type ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Http2Response } from '../entrypoint/http2-messages'
import { GatewayError } from '../errors/gateway-error'
import type { Exchange } from '../exchange/exchange'
import { buildResponseHeaders, reasonPhrase, type ParsedHeaders } from './response-headers'

/**
 * Maximum number of 1xx responses per request that are forwarded. Each costs a write, and the upstream sends any
 * number.
 */
const MAX_PASSED = 10

/** Number of forwarded 1xx responses by response. */
const passed = new WeakMap<ServerResponse, number>()

/**
 * Forwards a 1xx response (RFC 9110 §15.2), including unknown ones. `100` never arrives, because the gateway answers
 * `Expect` itself, and `101` without an upgrade is an invalid response. Responses above `MAX_PASSED` are dropped.
 */
export function passInformation(
  exchange: Exchange,
  controller: Dispatcher.DispatchController,
  statusCode: number,
  headers: ParsedHeaders,
  statusMessage: string | undefined,
): void {
  const { request, response } = exchange
  // After an unexpected 101, an HTTP/1.1 client would read everything that follows as another protocol.
  if (statusCode <= 101) throw new GatewayError('bad_response', { cause: new Error(`status ${statusCode}`) })
  if (request.httpVersion === '1.0') return // HTTP/1.0 knows no 1xx
  const { socket } = response
  const count = passed.get(response) ?? 0
  // Dropped for a client that does not read; an upstream could otherwise fill the memory.
  if (socket === null || response.headersSent || count >= MAX_PASSED || socket.writableNeedDrain) return
  const fields = buildResponseHeaders(exchange, controller, statusCode, headers, false)
  if ('sendInformation' in response) {
    passed.set(response, count + 1)
    return writeOnStream(response as Http2Response, statusCode, fields)
  }
  let head = `HTTP/1.1 ${statusCode} ${reasonPhrase(statusMessage)}\r\n`
  try {
    for (let i = 0; i < fields.length; i += 2) head += line(fields[i] as string, fields[i + 1] as string)
  } catch {
    return // fields that Node refuses in a response are refused here as well
  }
  passed.set(response, count + 1)
  socket.write(`${head}\r\n`, 'latin1')
}

/** Writes a 1xx response on HTTP/2, or drops it if Node refuses its fields. */
function writeOnStream(response: Http2Response, statusCode: number, fields: readonly string[]): void {
  try {
    response.sendInformation(statusCode, fields)
  } catch {
    // The client gets no 1xx response then.
  }
}

function line(name: string, value: string): string {
  validateHeaderName(name)
  validateHeaderValue(name, value)
  return `${name}: ${value}\r\n`
}
