import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { hasBody } from '../exchange/exchange'

/** Time that a client may go on sending a body that is discarded. */
const LINGER_MS = 2_000

const lingering = new WeakSet<Socket>()
const spent = new WeakSet<Socket>()

/**
 * Closes the connection in two steps if the response is finished before the request body: first the gateway's half, then
 * the other when the client has sent the rest or given up. Closing at once with unread bytes resets the connection, and a
 * client that is still sending loses the response (RFC 9112 §9.6).
 */
export function lingerAfterEarlyAnswer(request: IncomingMessage, response: ServerResponse): void {
  if (!hasBody(request)) return
  // Before Node's own listener, which closes the connection.
  response.prependOnceListener('finish', () => {
    if (request.complete) return
    const { socket } = request
    socket.destroySoon = () => linger(socket, request)
  })
}

/**
 * Marks a connection on which no request behind this one is served, although the response is not written yet. After it, the
 * connection closes in two steps: the client may have sent more. Does nothing for HTTP/2, whose streams are independent.
 */
export function takeNoMore({ socket, httpVersionMajor }: IncomingMessage): void {
  if (httpVersionMajor !== 1) return
  spent.add(socket)
  socket.destroySoon = lingerSpent
}

/** Discards what the client sends from now on. Node's parser would keep two objects for each further request. */
export function discardInput(socket: Socket): void {
  // Node's parser reads the connection without the socket's buffer until something else listens for data.
  socket.on('data', ignore)
  socket.removeAllListeners('data').on('data', ignore)
}

export function isSpent(socket: Socket): boolean {
  return spent.has(socket)
}

/** Returns whether the connection is in a lingering close: further input is discarded. */
export function isLingering(socket: Socket): boolean {
  return lingering.has(socket)
}

/** Sends the last bytes of a connection and closes it in two steps, so that a client that is still sending gets them. */
export function endLingering(socket: Socket, lastBytes: string): void {
  socket.write(lastBytes)
  socket.on('error', () => socket.destroy()) // Node removes its listeners when it hands over a connection
  socket.once('end', () => endAtLast(socket))
  halfClose(socket)
  discardInput(socket)
  socket.resume()
}

function lingerSpent(this: Socket): void {
  this.once('end', () => endAtLast(this))
  halfClose(this)
  discardInput(this)
  this.resume()
}

/** Closes the connection after the last bytes are written. */
function endAtLast(socket: Socket): void {
  if (socket.writableFinished) socket.destroy()
  else socket.once('finish', () => socket.destroy())
}

function linger(socket: Socket, request: IncomingMessage): void {
  halfClose(socket)
  request.once('end', () => socket.destroy()).resume()
}

function halfClose(socket: Socket): void {
  lingering.add(socket)
  socket.end()
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
}

function ignore(): void {}
