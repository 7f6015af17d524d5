import { createHash } from 'node:crypto'
import { readFileBounded, statBounded } from './read-file'

export interface WatchOptions {
  readonly path: string
  /** SHA-256, hexadecimal, of the content that is known already. */
  readonly sha256: string
  /** Called once for each new content, and once when the file is gone or cannot be read. */
  readonly onChange: () => void
  readonly intervalMs?: number
  readonly settleMs?: number
}

export interface WatchedFile {
  /**
   * Content that was read without being asked for by `onChange`: no news when it is found again.
   *
   * @param sha256 undefined where the file could not be read
   */
  know(sha256: string | undefined): void
  stop(): void
}

/** State and content of a file that is not there or cannot be read. */
const UNREADABLE = 'unreadable'

/**
 * Looks again and again whether the content of a file is another one. Not by the operating system's notices: they are lost
 * on network and container mounts, stay with the old file when an editor puts a new one in its place, and say nothing
 * when Kubernetes turns the symbolic link of a ConfigMap. A look costs one `stat`.
 *
 * Told is what has stayed the same for a moment: a file is often written in several steps.
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
      // Written meanwhile: it is looked at again, in the state that it then has.
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

/** Changes whenever the content may have changed. */
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
