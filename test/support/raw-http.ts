import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** A plain TCP connection, for what no HTTP client would send. */
export interface RawConnection {
  readonly socket: Socket
  /** Everything received so far, one character per byte. */
  readonly received: string
  send(bytes: string | Buffer): void
  /** Waits until what was received contains `text` (or matches it); returns all of it. */
  waitFor(text: string | RegExp, timeoutMs?: number): Promise<string>
  /** Waits until the other side has closed; returns everything received. */
  closed(timeoutMs?: number): Promise<string>
  destroy(): void
}

/** The socket may be reset by the other side at any time; that counts as closed. */
export async function openRaw(port: number, host = '127.0.0.1'): Promise<RawConnection> {
  const socket = connect(port, host)
  await once(socket, 'connect')
  const chunks: Buffer[] = []
  let ended = false
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('end', () => (ended = true))
  socket.on('close', () => (ended = true))
  // A reset is an answer too: what counts is what had arrived before it.
  socket.on('error', () => (ended = true))
  const received = (): string => Buffer.concat(chunks).toString('latin1')

  const waitUntil = async (done: () => boolean, what: string, timeoutMs: number): Promise<string> =>
    new Promise((resolve, reject) => {
      const events = ['data', 'end', 'close', 'error']
      const check = (): void => {
        if (done()) settle(() => resolve(received()))
        else if (ended) settle(() => reject(new Error(`closed before ${what}; received: ${received()}`)))
      }
      const settle = (act: () => void): void => {
        clearTimeout(timer)
        for (const event of events) socket.off(event, check)
        act()
      }
      const late = (): void => reject(new Error(`no ${what} within ${timeoutMs} ms; received: ${received()}`))
      const timer = setTimeout(() => settle(late), timeoutMs)
      for (const event of events) socket.on(event, check)
      check()
    })

  return {
    socket,
    get received() {
      return received()
    },
    send: bytes => {
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    },
    waitFor: async (text, timeoutMs = 5_000) =>
      waitUntil(
        () => (typeof text === 'string' ? received().includes(text) : text.test(received())),
        String(text),
        timeoutMs,
      ),
    closed: async (timeoutMs = 5_000) => waitUntil(() => ended, 'end of the connection', timeoutMs),
    destroy: () => socket.destroy(),
  }
}

/** Sends bytes and returns everything the other side says until it closes. */
export async function rawExchange(port: number, bytes: string | Buffer, timeoutMs?: number): Promise<string> {
  const connection = await openRaw(port)
  try {
    connection.send(bytes)
    return await connection.closed(timeoutMs)
  } finally {
    connection.destroy()
  }
}
