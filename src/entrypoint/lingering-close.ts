import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { hasBody } from '../exchange/exchange'

/** How long a client may go on sending what nobody wants. */
const LINGER_MS = 2_000

const lingering = new WeakSet<Socket>()
const spent = new WeakSet<Socket>()

/**
 * Has the connection closed in two steps where the answer comes before the whole body: first our half, and the other when
 * the client has sent the rest or given up. Closed at once, with bytes unread, the connection is reset, and a client that
 * is still sending never sees why it was refused (RFC 9112 §9.6).
 */
export function lingerAfterEarlyAnswer(request: IncomingMessage, response: ServerResponse): void {
  if (!hasBody(request)) return
  // Before Node's own listener, which closes.
  response.prependOnceListener('finish', () => {
    if (request.complete) return
    const { socket } = request
    socket.destroySoon = () => linger(socket, request)
  })
}

/** No request that comes behind this one is served, although its answer is not written yet. */
export function takeNoMore(socket: Socket): void {
  spent.add(socket)
}

export function isSpent(socket: Socket): boolean {
  return spent.has(socket)
}

/** Whether nothing that still comes over this connection is to be served. */
export function isLingering(socket: Socket): boolean {
  return lingering.has(socket)
}

function linger(socket: Socket, request: IncomingMessage): void {
  lingering.add(socket)
  socket.end()
  request.once('end', () => socket.destroy()).resume()
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
}
