import { statSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { ConfigFiles } from './config-files'
import { readMistake } from './read-file'
import { mistake, type Mistake } from './values/parsed'

/** A problem with one file, or with the files in combination. */
export interface TlsMistake {
  /** The key that names the file. */
  readonly key: 'ca' | 'cert' | 'key'
  readonly mistake: Mistake
  /** Absent: an error, and the gateway does not start. */
  readonly severity?: 'warning'
}

/** Checks certificate files of the listener, in every certificate and the authorities of its clients. */
export function checkListenerFiles(
  tls: {
    readonly cert: string
    readonly key: string
    readonly certificates: readonly { readonly cert: string; readonly key: string }[]
    readonly clientCertificates?: { readonly ca: string } | undefined
  },
  files: ConfigFiles,
): (TlsMistake & { readonly below: readonly (string | number)[] })[] {
  const { clientCertificates: clients } = tls
  const seen = new Set([tls.cert])
  const again = mistake('appears twice', 'each certificate once')
  return [
    ...checkTlsFiles({ cert: tls.cert, key: tls.key }, files).map(found => ({ ...found, below: [] })),
    ...tls.certificates.flatMap(({ cert, key }, index) => {
      const below = ['certificates', index]
      if (seen.has(cert)) return [{ key: 'cert' as const, mistake: again, below }]
      seen.add(cert)
      return checkTlsFiles({ cert, key }, files).map(found => ({ ...found, below }))
    }),
    ...(clients ? checkTlsFiles({ ca: clients.ca }, files) : []).map(found => ({
      ...found,
      below: ['clientCertificates'],
    })),
  ]
}

/** Reads the files as the upstream client will, so that a problem is reported before the first request. */
export function checkTlsFiles(
  paths: { readonly [Key in TlsMistake['key']]?: string | undefined },
  files: Pick<ConfigFiles, 'read'>,
): TlsMistake[] {
  const mistakes: TlsMistake[] = (['ca', 'cert', 'key'] as const).flatMap(key => {
    const found = paths[key] === undefined ? undefined : fileMistake(key, paths[key], files)
    return found === undefined ? [] : [{ key, mistake: found }]
  })
  const warnings: TlsMistake[] = []
  const openTo = paths.key === undefined || mistakes.some(({ key }) => key === 'key') ? undefined : readers(paths.key)
  if (openTo !== undefined) {
    const open = mistake(`can be read or written by ${openTo}`, 'a private key that only its owner can read: chmod 600')
    warnings.push({ key: 'key', mistake: open, severity: 'warning' })
  }
  if ((paths.cert === undefined) !== (paths.key === undefined)) {
    const [there, missing] = paths.key === undefined ? (['cert', 'key'] as const) : (['key', 'cert'] as const)
    mistakes.push({
      key: there,
      mistake: mistake(`has no "${missing}" beside it`, 'cert and key together, or neither'),
    })
  }
  if (mistakes.length > 0 || paths.cert === undefined || paths.key === undefined) return [...mistakes, ...warnings]
  try {
    createSecureContext({ cert: files.read(paths.cert), key: files.read(paths.key) })
    return warnings
  } catch {
    return [
      ...warnings,
      {
        key: 'key',
        mistake: mistake('is not the key of this certificate', 'the private key of cert, without a passphrase'),
      },
    ]
  }
}

/**
 * Which users besides the owner can read or write the private key that was just read; undefined if none, and on
 * Windows, whose modes say nothing. Group access is accepted if the owner is another user: orchestrators hand a secret
 * to a process this way.
 */
function readers(path: string): string | undefined {
  const user = process.getuid?.()
  const stats = statSync(path, { throwIfNoEntry: false })
  if (user === undefined || stats === undefined) return undefined
  if ((stats.mode & 0o006) !== 0) return 'every user of this machine'
  return (stats.mode & 0o060) !== 0 && stats.uid === user ? 'its group' : undefined
}

function fileMistake(key: 'ca' | 'cert' | 'key', path: string, files: Pick<ConfigFiles, 'read'>): Mistake | undefined {
  const wanted = key === 'key' ? 'a private key in PEM form' : 'certificates in PEM form'
  let text: string
  try {
    text = files.read(path).toString('latin1')
  } catch (error) {
    return readMistake(error, `a file with ${wanted}`)
  }
  const isThere =
    key === 'key' ? /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text) : /-----BEGIN CERTIFICATE-----/.test(text)
  if (!isThere) return mistake('does not contain what is expected', wanted)
  try {
    if (key !== 'key') createSecureContext({ ca: text })
    return undefined
  } catch {
    return mistake('holds no valid certificate', wanted)
  }
}
