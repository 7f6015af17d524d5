import { open, readFile, rm, stat } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Waits for and takes a lock file that holds its owner's process id; the lock of a dead owner is taken over. Two
 * waiters may take over at once: the lock only saves work, and the code behind it must be correct without it.
 *
 * @returns a function that releases the lock.
 * @throws after `timeoutMs` of waiting.
 */
export async function takeLock(
  path: string,
  { timeoutMs, log }: { timeoutMs: number; log: (line: string) => void },
): Promise<() => Promise<void>> {
  const deadline = Date.now() + timeoutMs
  for (let announced = false; ; announced = true) {
    try {
      const file = await open(path, 'wx')
      await file.writeFile(String(process.pid))
      await file.close()
      return () => rm(path, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    if (await isAbandoned(path)) await rm(path, { force: true })
    else if (Date.now() > deadline) throw new Error(`${path} is still held; if its owner is gone, delete it`)
    else {
      if (!announced) log(`Waiting for another process that does the same (${path})`)
      await delay(200)
    }
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  const [owner, info] = await Promise.all([readFile(path, 'utf8').catch(() => ''), stat(path).catch(() => undefined)])
  if (info === undefined) return false
  // The file is created before its content is written: an empty lock is new, unless it stays empty.
  if (owner === '') return Date.now() - info.mtimeMs > 10_000
  try {
    process.kill(Number(owner), 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
