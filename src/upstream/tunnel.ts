import type { Socket } from 'node:net'
import { GatewayError } from '../errors/gateway-error'
import type { Tunnel, TunnelEnd } from '../exchange/exchange'

/** How long a side may take to close, or to read the next remaining bytes, after the other side has closed. */
const LINGER_MS = 2_000

export interface TunnelOptions {
  /** The client's connection or stream, on which the response was already written. */
  readonly client: TunnelEnd
  readonly upstream: Socket
  /** Idle timeout for both directions. */
  readonly idleMs: number
  /** Called before `onEnd` if the upstream's connection breaks while the client's is intact. */
  readonly onBroken: (error: Error) => void
  /** Called once, when the upstream's connection is closed. */
  readonly onEnd: () => void
}

/**
 * Joins two connections with backpressure until one of them ends; then the other is ended too. A side that does not
 * read stops the other, and counts as idle if that lasts.
 */
export function openTunnel({ client, upstream, idleMs, onBroken, onEnd }: TunnelOptions): Tunnel {
  const tunnel = new OpenTunnel(client)
  // The client's connection carries both directions, so one timeout is enough.
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
  // Runs before the response's own listener, which reports how the tunnel ended.
  client.prependOnceListener('close', () => {
    tunnel.endedBy ??= isOurs(client.errored) ? 'gateway' : 'client'
    endSoon(upstream)
  })
  upstream.once('end', () => (tunnel.endedBy ??= 'upstream'))
  upstream.once('error', error => {
    // After the client has left, an error of the upstream's connection is not a failure.
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

/** Whether the gateway closed the connection: the process stops, or the upstream left the active configuration. */
function isOurs(error: Error | null): boolean {
  return error instanceof GatewayError
}

/** An open tunnel. Its byte counts come from the client's end. */
class OpenTunnel implements Tunnel {
  endedBy: Tunnel['endedBy']
  readonly #client: TunnelEnd
  readonly #readBefore: number
  readonly #writtenBefore: number

  constructor(client: TunnelEnd) {
    this.#client = client
    // Bytes that were received but not yet forwarded belong to the tunnel.
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

/** Ends a connection gracefully, so that sent bytes arrive. Destroys it if the peer does not read or close in time. */
function endSoon(socket: TunnelEnd): void {
  if (socket.destroyed) return
  socket.pause()
  socket.removeAllListeners('timeout')
  socket.setTimeout(LINGER_MS, () => socket.destroy())
  socket.end(() => {
    // The peer's end is only visible after the data it has sent, so that is read and dropped.
    socket.resume()
    closeSoon(socket)
  })
}

/** Destroys a connection whose peer keeps its half open; its further data would not be read. */
function closeSoon(socket: TunnelEnd): void {
  if (socket.destroyed) return
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
}
