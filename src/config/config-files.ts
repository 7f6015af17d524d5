import { readdirSync, readFileSync } from 'node:fs'
import { listFolderBounded, readFileBounded } from './read-file'

/** The files that a `gateway.yaml` names: certificates, keys, key sets and included files, with their content when it was read. */
export interface ConfigFiles {
  /** @throws the error that prevented reading */
  read(path: string): Buffer
  /** Names in a folder. @throws the error that prevented reading */
  list(folder: string): readonly string[]
}

/** What was read, by path: for another process that must see the same content. */
export interface FileContents {
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly folders: ReadonlyMap<string, readonly string[]>
}

/** Reads each file on request and blocks meanwhile: for tests and tools, never in a serving gateway. */
export const FILES_ON_DISK: ConfigFiles = Object.freeze({
  read: (path: string) => readFileSync(path),
  list: (folder: string) => readdirSync(folder),
})

/**
 * Reads files without blocking. A file that was not loaded yet counts as missing: the reader runs once, `load` reads
 * the files that were requested, and the reader runs again. So no second place has to know which keys name files.
 */
export class LoadedFiles implements ConfigFiles {
  readonly #contents = new Map<string, Buffer | Error>()
  readonly #wanted = new Set<string>()
  readonly #folders = new Map<string, readonly string[] | Error>()
  readonly #wantedFolders = new Set<string>()

  readonly #known: FileContents | undefined

  /** @param known content that is used instead of reading the files it has */
  constructor(known?: FileContents) {
    this.#known = known
    Object.freeze(this)
  }

  /** Everything that could be read. */
  contents(): FileContents {
    return {
      files: new Map([...this.#contents].filter((entry): entry is [string, Buffer] => !(entry[1] instanceof Error))),
      folders: new Map(
        [...this.#folders].filter((entry): entry is [string, readonly string[]] => !(entry[1] instanceof Error)),
      ),
    }
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

  list(folder: string): readonly string[] {
    const names = this.#folders.get(folder)
    if (names === undefined) {
      this.#wantedFolders.add(folder)
      throw new Error(`${folder} is not loaded yet`)
    }
    if (names instanceof Error) throw names
    return names
  }

  /** Loads files and folders in parallel: by default those that were requested and missing. @returns whether there were any */
  async load(
    wanted: readonly string[] = [...this.#wanted],
    folders: readonly string[] = [...this.#wantedFolders],
  ): Promise<boolean> {
    this.#wanted.clear()
    this.#wantedFolders.clear()
    await Promise.all([
      ...wanted.map(async path => {
        const known = this.#known?.files.get(path)
        const content = known === undefined ? readFileBounded(path).catch((error: Error) => error) : Buffer.from(known)
        this.#contents.set(path, await content)
      }),
      ...folders.map(async folder => {
        const known = this.#known?.folders.get(folder)
        this.#folders.set(folder, known ?? (await listFolderBounded(folder).catch((error: Error) => error)))
      }),
    ])
    return wanted.length + folders.length > 0
  }
}
