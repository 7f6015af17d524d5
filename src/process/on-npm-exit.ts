import { processEnv } from '../config/env'

const LOOK_EVERY_MS = 500

/**
 * Calls back once npm, which runs this process, has gone. Asked to stop by SIGTERM, it tells the shell between us, and that ends
 * without telling anybody: the ports would stay taken by what nobody sees any more. Does nothing where npm is not our parent.
 */
export function onNpmExit(act: () => void): void {
  if (processEnv()['npm_lifecycle_event'] === undefined) return
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    act()
  }, LOOK_EVERY_MS)
  timer.unref()
}
