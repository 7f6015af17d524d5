import type { Socket } from 'node:net'
import { errorCode } from '../errors/error-code'

/** The other side has closed: it takes nothing more, but may have said why before. */
const CLOSED: ReadonlySet<string | undefined> = new Set(['EPIPE', 'ECONNRESET'])

type Callback = Parameters<Socket['_write']>[2]

/**
 * Keeps a connection open for reading when a write fails because the other side has closed (RFC 9112 §9.5): an upstream that
 * refuses an upload answers, closes, and the next write fails before the answer is read. Node would drop what has arrived.
 *
 * The failed write is not reported: the reading side ends by itself, after what has arrived, and the timers of the call
 * bound how long that takes.
 */
export function readBeforeFailing(socket: Socket): void {
  const write = socket._write.bind(socket)
  const writev = socket._writev?.bind(socket)
  // A stream always hands over the same callback, so that nothing is made for each write.
  let given: Callback | undefined
  let held: Callback = () => undefined
  const holding = (callback: Callback): Callback => {
    if (callback === given) return held
    given = callback
    held = error => {
      if (!error || socket.readableEnded || !CLOSED.has(errorCode(error))) callback(error)
    }
    return held
  }
  socket._write = function writeHolding(chunk, encoding, callback) {
    write(chunk, encoding, holding(callback))
  }
  socket._writev = function writevHolding(chunks, callback) {
    writev?.(chunks, holding(callback))
  }
}
