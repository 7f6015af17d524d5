import { checkServerIdentity, type ConnectionOptions, type PeerCertificate } from 'node:tls'
import { FILES_ON_DISK } from '../config/config-files'
import { readFileBounded } from '../config/read-file'

/** Paths of PEM files for connections to Redis. */
export interface RedisTlsFiles {
  /** CA certificates for the certificate of Redis; undefined for the CAs that Node trusts. */
  readonly ca: string | undefined
  /** The client's certificate and private key, for a Redis that requires one. */
  readonly cert: string | undefined
  readonly key: string | undefined
}

/**
 * Creates the TLS options for Redis. The files were checked at the start. Each connection rereads them for the next
 * one, because certificates are renewed in place; if a file cannot be read, its previous content is kept.
 *
 * @param hosts the hosts of the URL; a cluster node known only by its address may present the certificate of one of
 * them
 */
export function redisTls(files: RedisTlsFiles | undefined, hosts: readonly string[]): ConnectionOptions {
  const options: ConnectionOptions = {
    checkServerIdentity: (host, certificate) => identityError([host, ...hosts], certificate),
  }
  for (const name of ['ca', 'cert', 'key'] as const) {
    const path = files?.[name]
    if (path === undefined) continue
    let last = FILES_ON_DISK.read(path)
    // ioredis copies the options for each connection, which calls this getter.
    Object.defineProperty(options, name, {
      enumerable: true,
      get: () => {
        readFileBounded(path).then(
          content => (last = content),
          () => {}, // being replaced, or on a hanging mount
        )
        return last
      },
    })
  }
  return options
}

/** Returns undefined if the certificate is valid for one of the names; otherwise the error for the first name. */
function identityError(names: readonly string[], certificate: PeerCertificate): Error | undefined {
  const errors = names.map(name => checkServerIdentity(name, certificate))
  return errors.includes(undefined) ? undefined : errors[0]
}
