import type { IncomingMessage } from 'node:http'
import { hasBody } from '../exchange/exchange'

/**
 * Returns whether Node may have lost bytes after a request whose upgrade was declined. Node's parser stops at such a request
 * and drops the rest of the packet. If that was a pipelined request, its client would take the next response for the lost
 * one. Clients that offer h2c and wait for the response keep their connection.
 */
export function mayLoseWhatFollows(request: IncomingMessage): boolean {
  if (request.headers.upgrade === undefined) return false
  return hasBody(request) || request.socket.bytesRead !== bytesOf(request)
}

/** Computes the size of a header section in its usual spelling. With any other spelling the connection is not reused. */
function bytesOf({ method = '', url = '', rawHeaders }: IncomingMessage): number {
  let bytes = method.length + url.length + REQUEST_LINE_SIGNS
  for (let i = 0; i < rawHeaders.length; i += 2) {
    bytes += (rawHeaders[i] as string).length + (rawHeaders[i + 1] as string).length + FIELD_SIGNS
  }
  return bytes
}

/** Two spaces, the version, the end of the line and of the section. */
const REQUEST_LINE_SIGNS = '  HTTP/1.1\r\n\r\n'.length
const FIELD_SIGNS = ': \r\n'.length
