import { createHash } from 'node:crypto'
import { isIP, type Socket } from 'node:net'
import { buildConnector, errors } from 'undici'
import type { ConfigFiles } from '../config/config-files'
import type { UpstreamTlsConfig } from '../config/types'
import type { NameLookup } from './name-lookup'
import { readBeforeFailing } from './read-before-failing'

/**
 * Creates the connector of a target. It offers only HTTP/1.1 in TLS, because header sections are built and read as
 * HTTP/1.1.
 *
 * @param timeoutMs enforced here, because undici's own timeout has a resolution of half a second
 * @param names undefined for a target given as an IP address
 * @param tlsName name by which the address was found
 */
export function createConnector(
  timeoutMs: number,
  tls: UpstreamTls | undefined,
  names: NameLookup | undefined,
  tlsName?: string,
): buildConnector.connector {
  const serverName = tls?.serverName ?? tlsName
  const connect = buildConnector({
    timeout: 0,
    allowH2: false,
    ...(names && { lookup: names.lookup }),
    ...tls?.files,
  })
  // SNI must not carry an IP address (RFC 6066 §3).
  const serverNameOf = ({ protocol, servername = '' }: buildConnector.Options): string =>
    protocol === 'https:' && serverName !== undefined ? serverName : isIP(servername) === 0 ? servername : ''
  return function connectTarget(options, callback) {
    const timer = setTimeout(() => {
      socket.destroy(new errors.ConnectTimeoutError(`no connection within ${timeoutMs} ms`))
    }, timeoutMs)
    const named = { ...options, servername: serverNameOf(options) }
    // undici's connector returns the socket, although its type does not declare that.
    const socket = connect(named, (...result) => {
      clearTimeout(timer)
      if (result[1]) readBeforeFailing(result[1])
      else names?.refresh()
      callback(...result)
    }) as unknown as Socket
  }
}

/** An option of undici's dispatcher that its types omit. */
export interface TlsName {
  servername?: string
}

/** TLS settings with the contents of their files. */
export interface UpstreamTls {
  readonly serverName: string | undefined
  readonly files: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer }
  /** Changes with the content of a file. */
  readonly version: string
}

export function readUpstreamTls(tls: UpstreamTlsConfig | undefined, files: ConfigFiles): UpstreamTls | undefined {
  if (tls === undefined) return undefined
  const { ca, cert, key, serverName } = tls
  const found = {
    ...(ca !== undefined && { ca: files.read(ca) }),
    ...(cert !== undefined && { cert: files.read(cert) }),
    ...(key !== undefined && { key: files.read(key) }),
  }
  const hash = createHash('sha256')
  for (const file of Object.values(found)) hash.update(file)
  return { serverName, files: found, version: hash.digest('hex') }
}
