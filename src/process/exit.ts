import { setTimeout as delay } from 'node:timers/promises'

/** Time for operations in Node's threads to end. */
const THREADS_MS = 500
const INTERVAL_MS = 20
/** Operations in threads that may hang: name look-ups (a name server that does not answer) and files (a hung mount). */
const IN_THREADS = /^(?:GetAddrInfo|GetNameInfo|FSReq)/

/**
 * Ends the process with this code, in bounded time. `process.exit` waits for Node's threads, and a look-up occupies one for
 * ten seconds if the name server does not answer. If such an operation does not end in `THREADS_MS`, the process is
 * replaced by one that only exits: a signal would give another exit code, and has no effect on process 1 of a container.
 */
export async function exitInTime(code: number): Promise<void> {
  const endsAt = performance.now() + THREADS_MS
  while (usesThreads()) {
    if (performance.now() >= endsAt) exitWithoutThreads(code)
    await delay(INTERVAL_MS)
  }
  process.exit(code)
}

function usesThreads(): boolean {
  return process.getActiveResourcesInfo().some(name => IN_THREADS.test(name))
}

function exitWithoutThreads(code: number): never {
  // Windows has no such call.
  if (process.platform === 'win32' || process.execve === undefined) return process.exit(code)
  return process.execve(process.execPath, [process.execPath, '--eval', `process.exitCode = ${code}`], {})
}
