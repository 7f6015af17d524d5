import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MAX_CHANGE_AGE_MS, MAX_CHANGES, readChange, type ChangeStore, type PostedChange } from './change-log'
import type { Incident } from './incident'
import { isIncidentId, parseIncident, MAX_AGE_MS, MAX_INCIDENTS, type IncidentStore } from './incident-store'

/** Stores one JSON file per incident in a folder; ids sort by time, so the folder's listing is the index. */
export class FileIncidentStore implements IncidentStore, ChangeStore {
  readonly #folder: string
  /** Writes of the changes, one at a time: each reads the file first. */
  #adding: Promise<unknown> = Promise.resolve()

  constructor(folder: string) {
    this.#folder = folder
  }

  async put(incident: Incident): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    const path = this.#path(incident.id)
    // Written to a temporary file and renamed, so that a reader never sees a partial file.
    await writeFile(`${path}.new`, JSON.stringify(incident))
    await rename(`${path}.new`, path)
    await this.#forgetOld()
  }

  async get(id: string): Promise<Incident | undefined> {
    if (!isIncidentId(id)) return undefined
    try {
      return parseIncident(await readFile(this.#path(id), 'utf8'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  async list(limit: number): Promise<Incident[]> {
    const ids = (await this.#ids()).slice(0, limit)
    const incidents = await Promise.all(ids.map(id => this.get(id)))
    return incidents.filter(incident => incident !== undefined)
  }

  async addChange(change: PostedChange): Promise<void> {
    const adding = this.#adding.then(async () => this.#addChange(change))
    this.#adding = adding.catch(() => undefined)
    return adding
  }

  async #addChange(change: PostedChange): Promise<void> {
    const others = (await this.changes()).filter(other => JSON.stringify(other) !== JSON.stringify(change))
    const newest = [...others, change].sort((a, b) => a.timeMs - b.timeMs).slice(-MAX_CHANGES)
    await mkdir(this.#folder, { recursive: true })
    const path = join(this.#folder, CHANGES_FILE)
    await writeFile(`${path}.new`, JSON.stringify(newest))
    await rename(`${path}.new`, path)
  }

  async changes(): Promise<PostedChange[]> {
    const text = await readFile(join(this.#folder, CHANGES_FILE), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '[]'
      throw error
    })
    const found = parseList(text).flatMap(change => readChange(change) ?? [])
    return found.filter(({ timeMs }) => timeMs >= Date.now() - MAX_CHANGE_AGE_MS)
  }

  async close(): Promise<void> {
    // There is nothing to close.
  }

  async #forgetOld(): Promise<void> {
    const tooOld = Date.now() - MAX_AGE_MS
    const ids = await this.#ids()
    const old = ids.filter((id, index) => index >= MAX_INCIDENTS || openedAt(id) < tooOld)
    await Promise.all(old.map(id => rm(this.#path(id), { force: true })))
  }

  /** Newest first. */
  async #ids(): Promise<string[]> {
    const files = await readdir(this.#folder).catch(nothingYet)
    return files
      .filter(file => file.endsWith('.json'))
      .map(file => file.slice(0, -'.json'.length))
      .filter(isIncidentId)
      .sort((a, b) => openedAt(b) - openedAt(a))
  }

  #path(id: string): string {
    return join(this.#folder, `${id}.json`)
  }
}

/** Not the name of an incident: those contain a hyphen. */
const CHANGES_FILE = 'changes.json'

/** An empty list if the file was edited by hand and is invalid. */
function parseList(text: string): readonly unknown[] {
  try {
    const found = JSON.parse(text) as unknown
    return Array.isArray(found) ? found : []
  } catch {
    return []
  }
}

/** The folder does not exist before the first incident. */
function nothingYet(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return []
  throw error
}

function openedAt(id: string): number {
  return Number.parseInt(id, 36)
}
