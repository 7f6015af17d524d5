import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Upgrade } from '../exchange/exchange'

/** How long a client that was answered may go on sending. */
const LINGER_MS = 2_000
/** What a client may send before it is answered, and still be seen to leave; what is more waits in its connection. */
const MAX_EARLY_BYTES = 65_536

const upgrades = new WeakMap<IncomingMessage, Upgrade>()

export function upgradeOf(request: IncomingMessage): Upgrade | undefined {
  return upgrades.get(request)
}

/**
 * Whether a request that has `Upgrade` is to be taken at its word. Everything but WebSocket is served over HTTP/1.1 as if
 * the field were not there (RFC 9110 §7.8), its body included: whoever got `h2c` through could speak past the gateway's
 * routes and limits from there on. HTTP/1.0 cannot ask for an upgrade.
 */
export function wantsWebSocket({ headers, httpVersion }: IncomingMessage): boolean {
  if (httpVersion !== '1.1') return false
  return headers.upgrade?.split(',').some(token => token.trim().toLowerCase() === 'websocket') === true
}

/**
 * Has a request that Node has handed over together with its connection go the way of all others: with a response that
 * writes to it, and whose end is seen.
 *
 * @param head what the client has sent after its header section
 */
export function takeUpgrade(request: IncomingMessage, response: ServerResponse, socket: Socket, head: Buffer): void {
  if (head.length > 0) socket.unshift(head)
  // Node has taken its own listeners off. Without one for errors, a reset would end the process.
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
 * Reads what comes before the answer, and keeps it: a connection that nobody reads, or that has bytes unread, does not tell
 * that it is gone. One that ends is closed.
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

/** Closed at once, with bytes unread, the connection is reset, and the client never sees the answer (RFC 9112 §9.6). */
function linger(socket: Socket): void {
  socket.resume().end()
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
}

function ignore(): void {}
