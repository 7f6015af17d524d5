import { readFileSync } from 'node:fs'
import { readFileBounded } from './read-file'

/** The files that a `gateway.yaml` names: certificates, keys and key sets, as they were when it was read. */
export interface ConfigFiles {
  /** @throws whatever kept the file from being read */
  read(path: string): Buffer
}

/** Reads each file when it is asked for, and blocks meanwhile: for tests and tools, never in a gateway that serves. */
export const FILES_ON_DISK: ConfigFiles = Object.freeze({ read: (path: string) => readFileSync(path) })

/**
 * Files that are read without blocking. A file that was not loaded yet counts as missing: whoever reads asks, `load` reads
 * what was asked for, and the asking is repeated. So that no second place has to know which keys name files.
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

  /** Loads what was asked for in vain, all at once. @returns whether there was any */
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
