import { createHash } from 'node:crypto'
import { readFileBounded, statBounded } from './read-file'

export interface WatchOptions {
  readonly path: string
  /** SHA-256, hexadecimal, of the known content. */
  readonly sha256: string
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
   */
  know(sha256: string | undefined): void
  stop(): void
}

/** State and content of a file that does not exist or cannot be read. */
const UNREADABLE = 'unreadable'

/**
 * Polls a file for changed content. The operating system's notifications are not used: they are lost on network and
 * container mounts, follow the old file when an editor replaces it, and miss the symbolic link change of a Kubernetes
 * ConfigMap. A poll costs one `stat`.
 *
 * A change is reported once the file has been stable for a moment, because files are often written in several steps.
 */
export function watchFile({ path, sha256, onChange, intervalMs = 1_000, settleMs = 200 }: WatchOptions): WatchedFile {
  let known = sha256
  let knownState: string | undefined
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  const look = async (): Promise<void> => {
    const state = await stateOf(path)
    if (state !== knownState) {
      const content = await contentOf(path)
      await new Promise(resolve => (timer = setTimeout(resolve, settleMs).unref()))
      // The file was written meanwhile: the next poll checks its new state.
      if (isStopped || (await stateOf(path)) !== state || (await contentOf(path)) !== content) return
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
    know: sha256 => {
      known = sha256 ?? UNREADABLE
    },
    stop: () => {
      isStopped = true
      clearTimeout(timer)
    },
  }
}

/** A state that changes whenever the content may have changed. */
async function stateOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs } = await statBounded(path)
    return [dev, ino, size, mtimeMs, ctimeMs].join()
  } catch {
    return UNREADABLE
  }
}

async function contentOf(path: string): Promise<string> {
  try {
    return createHash('sha256')
      .update(await readFileBounded(path))
      .digest('hex')
  } catch {
    return UNREADABLE
  }
}
