import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { watch } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

export interface WatchedSources {
  /** Resolves after the next change, once it is built; after a change that does not compile, waits for the next one. */
  changed(): Promise<undefined>
}

/** Wait after a change: editors write a file in several steps, and "save all" writes several files. */
const SETTLE_MS = 150

/** Watches the program's sources. Changes between two calls of `changed` are not lost. */
export function watchSources(root: string): WatchedSources {
  let pending = false
  let notice = (): void => {}
  const note = (): void => {
    pending = true
    notice()
  }
  for (const folder of ['src', 'otel']) watch(join(root, folder), { recursive: true }, note)

  return {
    async changed() {
      for (;;) {
        if (!pending) await new Promise<void>(resolve => (notice = resolve))
        await delay(SETTLE_MS)
        pending = false
        if (await build(root)) return undefined
      }
    },
  }
}

/** Builds the sources. TypeScript prints its own errors; on failure the running gateway stays. */
async function build(root: string): Promise<boolean> {
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  const child = spawn(process.execPath, [compiler, '--pretty'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code === 0
}
