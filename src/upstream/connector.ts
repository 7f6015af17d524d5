import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { buildConnector, errors } from 'undici'
import type { UpstreamTlsConfig } from '../config/types'

/**
 * Opens connections to a target, over HTTP/1.1 also where TLS could negotiate HTTP/2: header sections are built and read as
 * HTTP/1.1 has them.
 *
 * @param timeoutMs kept here, because undici looks at its own every half second at the soonest
 */
export function createConnector(timeoutMs: number, tls: UpstreamTlsConfig | undefined): buildConnector.connector {
  const connect = buildConnector({ timeout: 0, allowH2: false, ...(tls && readFiles(tls)) })
  const serverName = tls?.serverName
  return function connectTarget(options, callback) {
    const timer = setTimeout(() => {
      socket.destroy(new errors.ConnectTimeoutError(`no connection within ${timeoutMs} ms`))
    }, timeoutMs)
    const isNamed = serverName !== undefined && options.protocol === 'https:'
    const named = isNamed ? { ...options, servername: serverName } : options
    // It returns the socket, although its type does not say so.
    const socket = connect(named, (...result) => {
      clearTimeout(timer)
      callback(...result)
    }) as unknown as Socket
  }
}

/** Another one when a file of it has another content. */
export function tlsVersion(tls: UpstreamTlsConfig | undefined): string | undefined {
  if (tls === undefined) return undefined
  const hash = createHash('sha256')
  for (const file of Object.values(readFiles(tls))) hash.update(file)
  return hash.digest('hex')
}

/** Checked when the configuration was read; what has happened to them since is an error like any other. */
function readFiles({ ca, cert, key }: UpstreamTlsConfig): { ca?: Buffer; cert?: Buffer; key?: Buffer } {
  return {
    ...(ca !== undefined && { ca: readFileSync(ca) }),
    ...(cert !== undefined && { cert: readFileSync(cert) }),
    ...(key !== undefined && { key: readFileSync(key) }),
  }
}
