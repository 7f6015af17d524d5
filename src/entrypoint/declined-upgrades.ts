import type { IncomingMessage } from 'node:http'
import { hasBody } from '../exchange/exchange'

/**
 * Whether Node may have dropped bytes behind a request that asks for an upgrade and is served without one. Its parser stops at
 * such a request, and what the same packet brings after it is lost: a pipelined request, whose client would take the next
 * answer for that to the lost one. Clients that offer h2c with a request and wait for its answer keep their connection.
 */
export function mayLoseWhatFollows(request: IncomingMessage): boolean {
  if (request.headers.upgrade === undefined) return false
  return hasBody(request) || request.socket.bytesRead !== bytesOf(request)
}

/** As nearly all clients write it; of another one more or less was read, and its connection is not used again. */
function bytesOf({ method = '', url = '', rawHeaders }: IncomingMessage): number {
  let bytes = method.length + url.length + REQUEST_LINE_SIGNS
  for (let i = 0; i < rawHeaders.length; i += 2) {
    bytes += (rawHeaders[i] as string).length + (rawHeaders[i + 1] as string).length + FIELD_SIGNS
  }
  return bytes
}

/** Two spaces, the version, the end of the line and that of the section. */
const REQUEST_LINE_SIGNS = '  HTTP/1.1\r\n\r\n'.length
const FIELD_SIGNS = ': \r\n'.length
