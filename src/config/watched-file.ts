import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'

export interface WatchOptions {
  readonly path: string
  /** SHA-256, hexadecimal, of the content that is known already. */
  readonly sha256: string
  /** Called once for each new content, and once when the file is gone. */
  readonly onChange: () => void
  readonly intervalMs?: number
  readonly settleMs?: number
}

export interface WatchedFile {
  /** What it holds now is no news: somebody who was not told of it is about to read it. */
  know(): void
  stop(): void
}

/** Content of a file that is not there. */
const GONE = 'gone'

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
      const content = contentOf(path)
      await new Promise(resolve => (timer = setTimeout(resolve, settleMs).unref()))
      // Written meanwhile: it is looked at again, in the state that it then has.
      if (isStopped || (await stateOf(path)) !== state || contentOf(path) !== content) return
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
    know: () => {
      known = contentOf(path)
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
    const { dev, ino, size, mtimeMs, ctimeMs } = await stat(path)
    return [dev, ino, size, mtimeMs, ctimeMs].join()
  } catch {
    return GONE
  }
}

function contentOf(path: string): string {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex')
  } catch {
    return GONE
  }
}
