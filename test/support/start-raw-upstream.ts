import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'

export interface RawUpstream {
  readonly url: string
  readonly port: number
  /** Connections accepted so far. */
  readonly accepted: number
  /** Connections open now. */
  readonly open: number
  /** Everything received so far, one text per connection, one character per byte. */
  readonly received: readonly string[]
  /** Cuts every connection and stops listening. */
  stop(): Promise<void>
}

const running = new Set<RawUpstream>()

// A test that failed before it could stop its upstream must not keep mocha alive.
after(async () => {
  await Promise.all([...running].map(upstream => upstream.stop()))
})

/**
 * An upstream that speaks bytes: for answers no HTTP server would give. `answer` is called with every header section that
 * is complete; its number on this connection counts from 1.
 */
export async function startRawUpstream(answer: (socket: Socket, requestNumber: number) => void): Promise<RawUpstream> {
  const open = new Set<Socket>()
  const received: string[] = []
  let accepted = 0
  const server = createServer(socket => {
    const index = accepted++
    let requests = 0
    let unread = ''
    received.push('')
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => socket.destroy()) // a reset is what some tests want
    socket.on('data', chunk => {
      const text = chunk.toString('latin1')
      received[index] += text
      unread += text
      for (let end = unread.indexOf('\r\n\r\n'); end !== -1; end = unread.indexOf('\r\n\r\n')) {
        unread = unread.slice(end + 4)
        answer(socket, ++requests)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const upstream: RawUpstream = {
    url: `http://127.0.0.1:${port}`,
    port,
    received,
    get accepted() {
      return accepted
    },
    get open() {
      return open.size
    },
    stop: async () => {
      if (!running.delete(upstream)) return
      const closed = once(server, 'close')
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
  running.add(upstream)
  return upstream
}
