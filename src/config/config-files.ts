import { readFileSync } from 'node:fs'
import { readFileBounded } from './read-file'

/** The files that a `gateway.yaml` names: certificates, keys and key sets, with their content when it was read. */
export interface ConfigFiles {
  /** @throws the error that prevented reading */
  read(path: string): Buffer
}

/** Reads each file on request and blocks meanwhile: for tests and tools, never in a serving gateway. */
export const FILES_ON_DISK: ConfigFiles = Object.freeze({ read: (path: string) => readFileSync(path) })

/**
 * Reads files without blocking. A file that was not loaded yet counts as missing: the reader runs once, `load` reads
 * the files that were requested, and the reader runs again. So no second place has to know which keys name files.
 */
export class LoadedFiles implements ConfigFiles {
  readonly #contents = new Map<string, Buffer | Error>()
  readonly #wanted = new Set<string>()

  constructor() {
    Object.freeze(this)
  }

  read(path: string): Buffer {
    const content = this.#contents.get(path)
    if (content === undefined) {
      this.#wanted.add(path)
      throw new Error(`${path} is not loaded yet`)
    }
    if (content instanceof Error) throw content
    return content
  }

  /** Loads the files that were requested and missing, in parallel. @returns whether there were any */
  async load(): Promise<boolean> {
    const wanted = [...this.#wanted]
    this.#wanted.clear()
    await Promise.all(
      wanted.map(async path => {
        this.#contents.set(path, await readFileBounded(path).catch((error: Error) => error))
      }),
    )
    return wanted.length > 0
  }
}
