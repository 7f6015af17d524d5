import { createSecureContext } from 'node:tls'
import type { ConfigFiles } from './config-files'
import { readMistake } from './read-file'
import { mistake, type Mistake } from './values/parsed'

/** What is wrong with a file, or with what the files are together. */
export interface TlsMistake {
  /** The key that names the file. */
  readonly key: 'ca' | 'cert' | 'key'
  readonly mistake: Mistake
}

/** Reads the files as the upstream will: better to know now than with the first request. */
export function checkTlsFiles(
  paths: { readonly [Key in TlsMistake['key']]?: string | undefined },
  files: ConfigFiles,
): TlsMistake[] {
  const mistakes = (['ca', 'cert', 'key'] as const).flatMap(key => {
    const found = paths[key] === undefined ? undefined : fileMistake(key, paths[key], files)
    return found === undefined ? [] : [{ key, mistake: found }]
  })
  if ((paths.cert === undefined) !== (paths.key === undefined)) {
    const [there, missing] = paths.key === undefined ? (['cert', 'key'] as const) : (['key', 'cert'] as const)
    mistakes.push({
      key: there,
      mistake: mistake(`has no "${missing}" beside it`, 'cert and key together, or neither'),
    })
  }
  if (mistakes.length > 0 || paths.cert === undefined || paths.key === undefined) return mistakes
  try {
    createSecureContext({ cert: files.read(paths.cert), key: files.read(paths.key) })
    return []
  } catch {
    return [
      {
        key: 'key',
        mistake: mistake('is not the key of this certificate', 'the private key of cert, without a passphrase'),
      },
    ]
  }
}

function fileMistake(key: 'ca' | 'cert' | 'key', path: string, files: ConfigFiles): Mistake | undefined {
  const wanted = key === 'key' ? 'a private key in PEM form' : 'certificates in PEM form'
  let text: string
  try {
    text = files.read(path).toString('latin1')
  } catch (error) {
    return readMistake(error, `a file with ${wanted}`)
  }
  const isThere =
    key === 'key' ? /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text) : /-----BEGIN CERTIFICATE-----/.test(text)
  if (!isThere) return mistake('has none of what it should hold', wanted)
  try {
    if (key !== 'key') createSecureContext({ ca: text })
    return undefined
  } catch {
    return mistake('holds no valid certificate', wanted)
  }
}
