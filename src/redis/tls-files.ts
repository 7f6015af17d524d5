import { checkServerIdentity, type ConnectionOptions, type PeerCertificate } from 'node:tls'
import { FILES_ON_DISK } from '../config/config-files'
import { readFileBounded } from '../config/read-file'

/** Paths of PEM files for connections to Redis. */
export interface RedisTlsFiles {
  /** Who may have signed the certificate of Redis; undefined: the authorities Node knows. */
  readonly ca: string | undefined
  /** The client's certificate and its private key, for a Redis that asks for one. */
  readonly cert: string | undefined
  readonly key: string | undefined
}

/**
 * Options for TLS to Redis. The files were checked at the start. Each connection has them read again for the next one, because
 * certificates are renewed in their place; a file that cannot be read at that moment stays as it was.
 *
 * @param hosts the hosts of the URL: a node that a cluster names by its address may show the certificate of one of these
 */
export function redisTls(files: RedisTlsFiles | undefined, hosts: readonly string[]): ConnectionOptions {
  const options: ConnectionOptions = {
    checkServerIdentity: (host, certificate) => identityError([host, ...hosts], certificate),
  }
  for (const name of ['ca', 'cert', 'key'] as const) {
    const path = files?.[name]
    if (path === undefined) continue
    let last = FILES_ON_DISK.read(path)
    // ioredis copies the options at each connection, and with that asks for them.
    Object.defineProperty(options, name, {
      enumerable: true,
      get: () => {
        readFileBounded(path).then(
          content => (last = content),
          () => {}, // being replaced, or on a mount that hangs
        )
        return last
      },
    })
  }
  return options
}

/** Undefined where the certificate is for one of the names; else what is wrong with it for the first. */
function identityError(names: readonly string[], certificate: PeerCertificate): Error | undefined {
  const errors = names.map(name => checkServerIdentity(name, certificate))
  return errors.includes(undefined) ? undefined : errors[0]
}
