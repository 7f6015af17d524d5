import { digestOf, isYamlFile } from './config-digest'
import { LoadedFiles } from './config-files'
import { readFileBounded, statBounded, UNREADABLE } from './read-file'

export interface WatchOptions {
  readonly path: string
  /** SHA-256, hexadecimal, of the known content with what it includes; `UNREADABLE` if there was none. */
  readonly sha256: string
  /** Paths of included files and folders. */
  readonly included?: readonly string[]
  /** Called once for each new content, and once when the file is gone or cannot be read. */
  readonly onChange: () => void
  readonly intervalMs?: number
  readonly settleMs?: number
}

export interface WatchedFile {
  /**
   * Records content that was read independently of `onChange`, so that it is not reported as a change.
   *
   * @param sha256 undefined if the file could not be read
   * @param included what the content includes: watched from now on
   */
  know(sha256: string | undefined, included?: readonly string[]): void
  stop(): void
}

/**
 * Polls a file for changed content. The operating system's notifications are not used: they are lost on network and
 * container mounts, follow the old file when an editor replaces it, and miss the symbolic link change of a Kubernetes
 * ConfigMap. A poll costs one `stat`.
 *
 * A change is reported once the file has been stable for a moment, because files are often written in several steps.
 */
export function watchFile(options: WatchOptions): WatchedFile {
  const { path, onChange, intervalMs = 1_000, settleMs = 200 } = options
  let known = options.sha256
  let included = options.included ?? []
  let knownState: string | undefined
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  const look = async (): Promise<void> => {
    const state = await stateOf([path, ...included])
    if (state !== knownState) {
      const content = await contentOf(path, included)
      await new Promise(resolve => (timer = setTimeout(resolve, settleMs).unref()))
      // The file was written meanwhile: the next poll checks its new state.
      if (isStopped || (await stateOf([path, ...included])) !== state || (await contentOf(path, included)) !== content)
        return
      knownState = state
      if (content === known) return
      known = content
      onChange()
    }
  }
  const lookAgain = (): void => {
    if (!isStopped) timer = setTimeout(() => void look().finally(lookAgain), intervalMs).unref()
  }
  lookAgain()
  return {
    know: (sha256, next = []) => {
      known = sha256 ?? UNREADABLE
      included = next
    },
    stop: () => {
      isStopped = true
      clearTimeout(timer)
    },
  }
}

/** A state that changes whenever the content may have changed. */
async function stateOf(paths: readonly string[]): Promise<string> {
  return (await Promise.all(paths.map(stateOfOne))).join()
}

async function stateOfOne(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs } = await statBounded(path)
    return [dev, ino, size, mtimeMs, ctimeMs].join()
  } catch {
    return UNREADABLE
  }
}

async function contentOf(path: string, included: readonly string[]): Promise<string> {
  try {
    const content = await readFileBounded(path)
    const files = new LoadedFiles()
    await files.load(
      included.filter(isYamlFile),
      included.filter(name => !isYamlFile(name)),
    )
    return digestOf(content, included, files)
  } catch {
    return UNREADABLE
  }
}
