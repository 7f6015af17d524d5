import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { mistake, type Mistake } from './values/parsed'

/** What is wrong with a file, or with what the files are together. */
export interface TlsMistake {
  /** The key that names the file. */
  readonly key: 'ca' | 'cert' | 'key'
  readonly mistake: Mistake
}

/** Reads the files as the upstream will: better to know now than with the first request. */
export function checkTlsFiles(files: { readonly [Key in TlsMistake['key']]?: string | undefined }): TlsMistake[] {
  const mistakes = (['ca', 'cert', 'key'] as const).flatMap(key => {
    const found = files[key] === undefined ? undefined : fileMistake(key, files[key])
    return found === undefined ? [] : [{ key, mistake: found }]
  })
  if ((files.cert === undefined) !== (files.key === undefined)) {
    const [there, missing] = files.key === undefined ? (['cert', 'key'] as const) : (['key', 'cert'] as const)
    mistakes.push({
      key: there,
      mistake: mistake(`has no "${missing}" beside it`, 'cert and key together, or neither'),
    })
  }
  if (mistakes.length > 0 || files.cert === undefined || files.key === undefined) return mistakes
  try {
    createSecureContext({ cert: readFileSync(files.cert), key: readFileSync(files.key) })
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

function fileMistake(key: 'ca' | 'cert' | 'key', path: string): Mistake | undefined {
  const wanted = key === 'key' ? 'a private key in PEM form' : 'certificates in PEM form'
  try {
    const text = readFileSync(path, 'latin1')
    const isThere =
      key === 'key' ? /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text) : /-----BEGIN CERTIFICATE-----/.test(text)
    if (!isThere) return mistake('has none of what it should hold', wanted)
    if (key !== 'key') createSecureContext({ ca: text })
    return undefined
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return mistake('is not there', `the path of a file with ${wanted}`)
    return mistake(`cannot be read (${code})`, `a file with ${wanted}`)
  }
}
