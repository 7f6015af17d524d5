import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { errors, type buildConnector } from 'undici'
import type { UpstreamTls } from '../connector'
import type { NameLookup } from '../name-lookup'

export interface Http2ConnectorOptions {
  readonly origin: string
  /** Name for TLS if the origin is an address that was found by that name. */
  readonly tlsName?: string | undefined
  readonly timeoutMs: number
  readonly tls: UpstreamTls | undefined
  /** Undefined for a target given as an IP address. */
  readonly names: NameLookup | undefined
  /** Protocols offered by ALPN, preferred one first. */
  readonly protocols: readonly string[]
}

/**
 * Creates the connector of a target that is asked over HTTP/2. undici's connector always offers HTTP/1.1, and writes of its
 * sockets are held (`read-before-failing.ts`), which an HTTP/2 session bypasses.
 */
export function createHttp2Connector(options: Http2ConnectorOptions): buildConnector.connector {
  const { origin, tlsName, timeoutMs, tls, names, protocols } = options
  const { protocol, hostname, port } = new URL(origin)
  const isSecure = protocol === 'https:'
  const host = hostname.replace(/^\[|\]$/g, '')
  const address = {
    host,
    port: Number(port || (isSecure ? 443 : 80)),
    noDelay: true,
    keepAlive: true,
    ...(names && { lookup: names.lookup }),
  }
  // SNI must not carry an IP address (RFC 6066 §3).
  const servername = tls?.serverName ?? tlsName ?? (isIP(host) === 0 ? host : '')
  return function connectTarget(_target, callback) {
    const socket = isSecure
      ? connectTls({ ...address, ...tls?.files, servername, ALPNProtocols: [...protocols] })
      : connectTcp(address)
    const timer = setTimeout(() => {
      socket.destroy(new errors.ConnectTimeoutError(`no connection within ${timeoutMs} ms`))
    }, timeoutMs)
    const onError = (error: Error): void => {
      clearTimeout(timer)
      callback(error, null)
    }
    socket.once('error', onError)
    socket.once(isSecure ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer)
      socket.off('error', onError)
      names?.refresh()
      callback(null, socket)
    })
  }
}

/** Returns whether the connection speaks HTTP/2: negotiated over TLS, or by prior knowledge without it. */
export function speaksHttp2(socket: Socket): boolean {
  return !('alpnProtocol' in socket) || socket.alpnProtocol === 'h2'
}

/** Creates the error for a server that does not agree to HTTP/2. */
export function withoutHttp2(): Error {
  return Object.assign(new Error('the server did not choose HTTP/2 (ALPN)'), { code: 'ERR_TLS_NO_HTTP2' })
}
