import type { IncomingMessage, ServerResponse } from 'node:http'

/** Express middleware: no cache may keep what signed-in people see, and search engines get nothing of it. */
export default function noCache(request: IncomingMessage, response: ServerResponse, next: () => void): void {
  response.setHeader('x-robots-tag', 'noindex')
  if (request.headers.cookie !== undefined) response.setHeader('cache-control', 'private, no-store')
  next()
}
