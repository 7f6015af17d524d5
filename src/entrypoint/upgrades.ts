import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { TunnelEnd, Upgrade } from '../exchange/exchange'

/** Time that a client may go on sending after its response. */
const LINGER_MS = 2_000
/** Bytes read before the response. A client that sends more is not read, so its close is not noticed. */
const MAX_EARLY_BYTES = 65_536

const upgrades = new WeakMap<IncomingMessage, Upgrade>()

export function upgradeOf(request: IncomingMessage): Upgrade | undefined {
  return upgrades.get(request)
}

/**
 * Returns whether a request asks for WebSocket. Any other `Upgrade` is ignored and the request served over HTTP/1.1, body
 * included (RFC 9110 §7.8): with `h2c` a client could bypass the gateway's routes and limits. HTTP/1.0 has no upgrades.
 */
export function wantsWebSocket({ headers, httpVersion }: IncomingMessage): boolean {
  if (httpVersion !== '1.1') return false
  return headers.upgrade?.split(',').some(token => token.trim().toLowerCase() === 'websocket') === true
}

/**
 * Attaches a response to a request that Node has handed over with its connection, so that it is served like every other
 * request and its end is noticed.
 *
 * @param head bytes received after the header section
 */
export function takeUpgrade(request: IncomingMessage, response: ServerResponse, socket: Socket, head: Buffer): void {
  if (head.length > 0) socket.unshift(head)
  // Node has removed its own listeners. Without one for errors, a reset would end the process.
  socket.on('error', ignore)
  socket.on('drain', () => response.emit('drain'))
  const early = readEarly(socket)
  upgrades.set(request, {
    take: () => {
      early.stop()
      if (early.bytes.length > 0) socket.unshift(Buffer.concat(early.bytes))
      return socket
    },
  })
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  response.once('finish', () => {
    response.detachSocket(socket)
    early.stop()
    linger(socket)
    process.nextTick(() => response.emit('close'))
  })
}

/**
 * Attaches the stream of an extended CONNECT (RFC 8441) to its request. What the client sends before the response waits in
 * the stream's window; its close is noticed without reading.
 */
export function takeStream(request: IncomingMessage, stream: ServerHttp2Stream): void {
  upgrades.set(request, { take: () => counted(stream) })
}

/** Adds the byte counts of a socket to a stream. */
function counted(stream: ServerHttp2Stream): TunnelEnd {
  let read = 0
  let written = 0
  stream.on('data', (chunk: Buffer) => (read += chunk.length))
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean
  stream.write = (chunk: Buffer, ...rest: unknown[]) => {
    written += chunk.length
    return write(chunk, ...rest)
  }
  return Object.defineProperties(stream, {
    bytesRead: { get: () => read + stream.readableLength },
    bytesWritten: { get: () => written },
  }) as unknown as TunnelEnd
}

/**
 * Reads and buffers bytes that arrive before the response: Node does not report the close of a connection that is not
 * read. A connection that ends is closed.
 */
function readEarly(socket: Socket): { readonly bytes: readonly Buffer[]; stop(): void } {
  const bytes: Buffer[] = []
  let length = 0
  const onReadable = (): void => {
    while (length < MAX_EARLY_BYTES) {
      const chunk = socket.read() as Buffer | null
      if (chunk === null) return
      bytes.push(chunk)
      length += chunk.length
    }
  }
  const destroy = (): void => void socket.destroy()
  socket.on('readable', onReadable)
  socket.on('end', destroy)
  return { bytes, stop: () => void socket.off('readable', onReadable).off('end', destroy) }
}

/**
 * Closes in two steps: closing with unread bytes resets the connection, and the client loses the response (RFC 9112
 * §9.6).
 */
function linger(socket: Socket): void {
  socket.resume().end()
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
}

function ignore(): void {}
