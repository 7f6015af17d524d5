import type { Socket } from 'node:net'
import { GatewayError } from '../errors/gateway-error'
import type { Tunnel } from '../exchange/exchange'

/** How long a side may take to close, or to read the next of what is left for it, after the other one has closed. */
const LINGER_MS = 2_000

export interface TunnelOptions {
  /** The response that switched protocols is written by now. */
  readonly client: Socket
  readonly upstream: Socket
  /** How long nothing may move, in neither direction. */
  readonly idleMs: number
  /** Called when the upstream's connection breaks while the client's is whole; before `onEnd`. */
  readonly onBroken: (error: Error) => void
  /** Called once, when the upstream's connection is closed. */
  readonly onEnd: () => void
}

/**
 * Joins two connections until one of them ends; then the other is ended too. With their backpressure: what one side does
 * not take is not read from the other, and if that lasts, it is silence like any other.
 */
export function openTunnel({ client, upstream, idleMs, onBroken, onEnd }: TunnelOptions): Tunnel {
  const tunnel = new OpenTunnel(client)
  // Whatever moves, in either direction, moves through this connection.
  client.setTimeout(idleMs, () => {
    tunnel.endedBy ??= 'idle_timeout'
    client.unpipe(upstream)
    upstream.unpipe(client)
    endSoon(client)
    endSoon(upstream)
  })
  client.once('end', () => {
    tunnel.endedBy ??= 'client'
    closeSoon(upstream)
  })
  // Before the response's own listener, which tells how it ended.
  client.prependOnceListener('close', () => {
    tunnel.endedBy ??= isOurs(client.errored) ? 'gateway' : 'client'
    endSoon(upstream)
  })
  upstream.once('end', () => (tunnel.endedBy ??= 'upstream'))
  upstream.once('error', error => {
    // That it is not there for the client's last words is no failure.
    if (tunnel.endedBy !== undefined) return
    tunnel.endedBy = isOurs(error) ? 'gateway' : 'upstream'
    onBroken(error)
  })
  upstream.once('close', () => {
    tunnel.endedBy ??= 'upstream'
    onEnd()
    endSoon(client)
  })
  client.pipe(upstream)
  upstream.pipe(client)
  return tunnel
}

/** Because the process stops, or its file no longer names the upstream. */
function isOurs(error: Error | null): boolean {
  return error instanceof GatewayError
}

/** Counts nothing itself: the client's connection knows what went over it. */
class OpenTunnel implements Tunnel {
  endedBy: Tunnel['endedBy']
  readonly #client: Socket
  readonly #readBefore: number
  readonly #writtenBefore: number

  constructor(client: Socket) {
    this.#client = client
    // What has come already and waits to be passed on is part of it.
    this.#readBefore = client.bytesRead - client.readableLength
    this.#writtenBefore = client.bytesWritten
  }

  get bytesIn(): number {
    return this.#client.bytesRead - this.#readBefore
  }

  get bytesOut(): number {
    return this.#client.bytesWritten - this.#writtenBefore
  }
}

/** In order, so that what was sent arrives; but a peer that does not read it, or does not close its side, is not waited for. */
function endSoon(socket: Socket): void {
  if (socket.destroyed) return
  socket.pause()
  socket.removeAllListeners('timeout')
  socket.setTimeout(LINGER_MS, () => socket.destroy())
  socket.end(() => {
    // Its end is only seen behind what it may still have sent.
    socket.resume()
    closeSoon(socket)
  })
}

/** A side that was told of the end and keeps its own half open is not waited for: nobody reads what it may still say. */
function closeSoon(socket: Socket): void {
  if (socket.destroyed) return
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
}
