import type { Socket } from 'node:net'
import { errorCode } from '../errors/error-code'

/** Error codes of a write to a closed connection. The peer may have sent a response before it closed. */
const CLOSED: ReadonlySet<string | undefined> = new Set(['EPIPE', 'ECONNRESET'])

type Callback = Parameters<Socket['_write']>[2]

/**
 * Keeps a connection readable when a write fails because the peer has closed it (RFC 9112 §9.5). An upstream that
 * rejects an upload responds and closes, and the next write fails before the response is read. Node would drop the
 * response.
 *
 * The failed write is not reported. The reading side ends after the data that has arrived, and the timers of the call
 * limit how long that takes.
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
