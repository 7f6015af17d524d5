import { processEnv } from '../config/env'

const LOOK_EVERY_MS = 500

/**
 * Calls back when npm, which runs this process, has exited. npm passes SIGTERM only to the shell in between, which ends
 * without passing it on, so an orphaned process would keep the ports. Does nothing if the process was not started by npm.
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
