import type { Socket } from 'node:net'
import type { Exchange } from '../exchange/exchange'

const CHECK_MS = 1_000

/**
 * Closes connections that their clients reset while the gateway was not reading them, because an upstream does not take an
 * upload. Node does not watch connections that it does not read. A client that closed its connection in order is noticed only
 * behind the bytes that it sent.
 *
 * @param exchanges returns the exchanges in flight
 */
export function watchForResets(exchanges: () => readonly Exchange[]): { stop(): void } {
  const timer = setInterval(() => {
    for (const { request } of exchanges()) {
      if (request.socket.isPaused() && isReset(request.socket)) request.socket.destroy()
    }
  }, CHECK_MS).unref()
  return { stop: () => clearInterval(timer) }
}

interface WithHandle {
  readonly _handle?: { getpeername?(out: object): number } | null
}

/** Asks the operating system: a connection that was reset has no other end. `remoteAddress` is remembered by Node. */
function isReset(socket: Socket): boolean {
  const code = (socket as Socket & WithHandle)._handle?.getpeername?.({})
  return code !== undefined && code !== 0
}
