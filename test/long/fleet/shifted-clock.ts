import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { BinaryMissing, defaultCacheFolder } from '../../../tools/stack/binaries'
import { debianRelease, fetchDebianPrograms } from '../../../tools/stack/debian-packages'

const LIBRARY = 'usr/lib/*/faketime/libfaketimeMT.so.1'

/**
 * The environment in which a program's clock is ahead by some seconds, or behind if negative. Debian's libfaketime answers
 * all system calls for the time of day, so Node, V8 and all libraries see the same wrong clock. The monotonic clock stays, as
 * it does on a machine whose time of day is wrong. A time namespace could not do this: it moves the monotonic clocks only.
 */
export async function clockAhead(seconds: number): Promise<NodeJS.ProcessEnv> {
  const sign = seconds < 0 ? '' : '+'
  return { LD_PRELOAD: await findLibrary(), FAKETIME: `${sign}${seconds}s`, FAKETIME_DONT_FAKE_MONOTONIC: '1' }
}

async function findLibrary(): Promise<string> {
  const installed = globSync(`/${LIBRARY}`)[0]
  if (installed !== undefined) return installed
  const release = await debianRelease()
  const missing = 'libfaketime, which shifts the clock of a replica'
  if (release === undefined) throw new BinaryMissing(`${missing}: fetched on Debian and Ubuntu only; install it`)
  const folder = join(defaultCacheFolder(), `${release}-faketime`)
  await fetchDebianPrograms(folder, { libfaketime: {} }, line => process.stderr.write(`${line}\n`))
  const fetched = globSync(join(folder, LIBRARY))[0]
  if (fetched === undefined || !existsSync(fetched)) throw new BinaryMissing(`${missing}: is not in its package`)
  return fetched
}
