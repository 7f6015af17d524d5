import { createHash } from 'node:crypto'
import { extname } from 'node:path'

/** Reads what is included: content of a file, or names in a folder. @throws if it cannot be read */
interface Included {
  read(path: string): Buffer
  list(folder: string): readonly string[]
}

/**
 * SHA-256 of a `gateway.yaml` and of what it includes, hexadecimal. Without includes it is that of the file, as
 * `sha256sum` prints it.
 */
export function digestOf(content: Buffer, included: readonly string[], from: Included): string {
  const hash = createHash('sha256').update(content)
  for (const path of included) hash.update(`\0${path}\0${partDigest(path, from)}`)
  return hash.digest('hex')
}

function partDigest(path: string, from: Included): string {
  try {
    if (isYamlFile(path)) return createHash('sha256').update(from.read(path)).digest('hex')
    return from.list(path).filter(isYamlFile).toSorted().join('/')
  } catch {
    return 'unreadable'
  }
}

/** Whether an entry of `include` names a file; else it names a folder. */
export function isYamlFile(path: string): boolean {
  return ['.yaml', '.yml'].includes(extname(path))
}
