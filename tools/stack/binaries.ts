import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, isAbsolute, join } from 'node:path'
import { promisify } from 'node:util'
import { debianRelease, fetchDebianTools } from './debian-packages'

/** The programs of the stack that are not ours. */
export const BINARY_NAMES = [
  'redis-server',
  'redis-cli',
  'redis-sentinel',
  'prometheus',
  'promtool',
  'alertmanager',
  'amtool',
  'redis_exporter',
] as const

export type BinaryName = (typeof BINARY_NAMES)[number]

/** A program that answered `--version` on this machine. */
export interface Binary {
  readonly name: BinaryName
  /** Absolute path; start it as it is, nothing has to be added to its environment. */
  readonly path: string
  /** Such as `7.0.15`. */
  readonly version: string
  /** Found on the `PATH`, or in the cache of unpacked Debian packages. */
  readonly origin: 'path' | 'cache'
}

export interface FindOptions {
  /** Folders to look in, as in `PATH`; default: the environment's. */
  readonly searchPath?: string
  /** Folder that holds, or will hold, what was fetched; default: the user's cache folder. */
  readonly cacheFolder?: string
  /** Fills the folder it is given with `bin/NAME`; undefined: nothing can be fetched on this system. */
  readonly fetch?: ((folder: string, log: (line: string) => void) => Promise<void>) | undefined
  /** Where progress goes; default: standard error. */
  readonly log?: (line: string) => void
}

/** A program is on neither the `PATH` nor in the cache, and could not be fetched; the message says how to get it. */
export class BinaryMissing extends Error {
  override readonly name = 'BinaryMissing'
}

interface Product {
  /** What the program may be called, the upstream project's name first. */
  readonly aliases: readonly string[]
  readonly brew: string | undefined
  readonly debian: string
  readonly releases: string
}

const REDIS = { brew: 'redis', releases: 'https://redis.io/docs/latest/operate/oss_and_stack/install/' }
const PROMETHEUS = { brew: 'prometheus', debian: 'prometheus', releases: 'https://prometheus.io/download/#prometheus' }
const ALERTMANAGER = { debian: 'prometheus-alertmanager', releases: 'https://prometheus.io/download/#alertmanager' }

const PRODUCTS: Readonly<Record<BinaryName, Product>> = {
  'redis-server': { ...REDIS, aliases: ['redis-server'], debian: 'redis-server' },
  'redis-cli': { ...REDIS, aliases: ['redis-cli'], debian: 'redis-tools' },
  'redis-sentinel': { ...REDIS, aliases: ['redis-sentinel'], debian: 'redis-sentinel' },
  prometheus: { ...PROMETHEUS, aliases: ['prometheus'] },
  promtool: { ...PROMETHEUS, aliases: ['promtool'] },
  alertmanager: { ...ALERTMANAGER, aliases: ['alertmanager', 'prometheus-alertmanager'], brew: undefined },
  amtool: { ...ALERTMANAGER, aliases: ['amtool'], brew: undefined },
  redis_exporter: {
    aliases: ['redis_exporter', 'prometheus-redis-exporter'],
    brew: undefined,
    debian: 'prometheus-redis-exporter',
    releases: 'https://github.com/oliver006/redis_exporter/releases',
  },
}

const run = promisify(execFile)
const found = new Map<BinaryName, Binary>()

/**
 * A program of the stack: from the `PATH`, else from our cache, else (Debian and Ubuntu) fetched once into that cache.
 * Nothing is installed system-wide, so no service starts. Takes some seconds the first time, and at the most 10 minutes.
 *
 * @throws {BinaryMissing} when it cannot be had here; the message says what to install.
 */
export async function findBinary(name: BinaryName, options: FindOptions = {}): Promise<Binary> {
  // Only the default places are remembered: whoever names others asks for a fresh look.
  const usesDefaults = Object.keys(options).every(key => key === 'log')
  const known = usesDefaults ? found.get(name) : undefined
  if (known !== undefined) return known
  const binary = (await findOnPath(name, options.searchPath)) ?? (await findInCache(name, options))
  if (usesDefaults) found.set(name, binary)
  return binary
}

/** The user's cache folder for what this project fetches; outside the tree, so that `git clean` and clones share it. */
export function defaultCacheFolder(): string {
  const base = process.platform === 'win32' ? process.env['LOCALAPPDATA'] : (process.env['XDG_CACHE_HOME'] ?? undefined)
  // A relative XDG_CACHE_HOME is to be ignored, says the standard; it would change with the working directory.
  const folder = base !== undefined && isAbsolute(base) ? base : join(homedir(), '.cache')
  return join(folder, 'myesi-gateway')
}

async function findOnPath(name: BinaryName, searchPath: string | undefined): Promise<Binary | undefined> {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  const folders = (searchPath ?? process.env['PATH'] ?? '').split(delimiter).filter(folder => isAbsolute(folder))
  for (const alias of PRODUCTS[name].aliases) {
    for (const folder of folders) {
      const binary = await tryBinary(name, join(folder, alias + suffix), 'path')
      if (binary !== undefined) return binary
    }
  }
  return undefined
}

async function findInCache(name: BinaryName, options: FindOptions): Promise<Binary> {
  const log = options.log ?? (line => process.stderr.write(`${line}\n`))
  const release = await debianRelease()
  const fetch = 'fetch' in options ? options.fetch : release === undefined ? undefined : fetchDebianTools
  if (fetch === undefined) throw new BinaryMissing(howToGet(name, 'not found on the PATH'))
  const folder = join(options.cacheFolder ?? defaultCacheFolder(), release ?? process.platform)
  const path = join(folder, 'bin', name)
  try {
    const cached = await tryBinary(name, path, 'cache')
    if (cached !== undefined) return cached
    // A cache that no longer works (a shared library was removed from the system) is made anew, not repaired.
    if (await isExecutable(path)) await rm(folder, { recursive: true, force: true })
    await fetch(folder, log)
  } catch (error) {
    throw new BinaryMissing(howToGet(name, `could not be fetched: ${messageOf(error)}`), { cause: error })
  }
  const fetched = await tryBinary(name, path, 'cache')
  if (fetched === undefined) throw new BinaryMissing(howToGet(name, `is not in, or does not run from, ${folder}`))
  return fetched
}

async function tryBinary(name: BinaryName, path: string, origin: Binary['origin']): Promise<Binary | undefined> {
  if (!(await isExecutable(path))) return undefined
  try {
    const { stdout, stderr } = await run(path, ['--version'], { timeout: 20_000 })
    const version = /(?:v=|version |redis-cli |Exporter v?)(\d+\.\d+\.\d+)/.exec(stdout + stderr)?.[1]
    return version === undefined ? undefined : { name, path, version, origin }
  } catch {
    return undefined
  }
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

function howToGet(name: BinaryName, problem: string): string {
  const { brew, debian, releases } = PRODUCTS[name]
  const archive = `unpack its release from ${releases} and put it on the PATH`
  const ways: Partial<Record<NodeJS.Platform, string>> = {
    linux: `apt-get install ${debian} (Debian, Ubuntu), or ${archive}`,
    darwin: brew === undefined ? archive : `brew install ${brew}, or ${archive}`,
  }
  return `${name}: ${problem}. To get it: ${ways[process.platform] ?? archive}.`
}

/** What a person can act on: a failed command's own words, not the command line that execFile puts before them. */
function messageOf(error: unknown): string {
  const text =
    error instanceof Error ? ((error as { stderr?: string }).stderr ?? '').trim() || error.message : String(error)
  return text.split('\n').slice(-3).join(' ')
}
