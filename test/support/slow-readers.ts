import { Socket } from 'node:net'

const PIECE_BYTES = 4_096
const EVERY_MS = 15_000

export interface SlowReaders {
  /** Connections of theirs that are still open. */
  readonly open: number
  destroy(): void
}

/** Clients that ask for a large response and read 4 KiB of it every 15 s, each from one of `addresses` in turn. */
export function startSlowReaders(
  port: number,
  path: string,
  { count, addresses }: { count: number; addresses: readonly string[] },
): SlowReaders {
  let open = 0
  const sockets = Array.from({ length: count }, (_, i) => {
    const socket = new Socket()
    socket.on('error', () => undefined) // cut off, as it may be
    socket.on('close', () => open--)
    open++
    socket.connect({ port, host: '127.0.0.1', localAddress: addresses[i % addresses.length] as string })
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    // Without a listener for data it reads until its own small buffer is full.
    socket.on('readable', () => undefined)
    return socket
  })
  const timer = setInterval(() => {
    for (const socket of sockets) socket.read(PIECE_BYTES)
  }, EVERY_MS)
  return {
    get open() {
      return open
    },
    destroy: () => {
      clearInterval(timer)
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** Addresses of loopback that stand for as many clients, from 127.0.`group`.1 on. */
export function loopbackAddresses(group: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `127.0.${group}.${i + 1}`)
}
