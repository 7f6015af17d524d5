import type { Socket } from 'node:net'
import { buildConnector, errors } from 'undici'

/**
 * Opens connections to a target, over HTTP/1.1 also where TLS could negotiate HTTP/2: header sections are built and read as
 * HTTP/1.1 has them.
 *
 * @param timeoutMs kept here, because undici looks at its own every half second at the soonest
 */
export function createConnector(timeoutMs: number): buildConnector.connector {
  const connect = buildConnector({ timeout: 0, allowH2: false })
  return function connectTarget(options, callback) {
    const timer = setTimeout(() => {
      socket.destroy(new errors.ConnectTimeoutError(`no connection within ${timeoutMs} ms`))
    }, timeoutMs)
    // It returns the socket, although its type does not say so.
    const socket = connect(options, (...result) => {
      clearTimeout(timer)
      callback(...result)
    }) as unknown as Socket
  }
}
