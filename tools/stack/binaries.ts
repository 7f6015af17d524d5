import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, isAbsolute, join } from 'node:path'
import { promisify } from 'node:util'
import { OLDER_TOOLS, STACK_PACKAGES, debianRelease, fetchDebianPrograms } from './debian-packages'
import { executable, findGo, isExecutable } from './go-build'
import { ALERTMANAGER_MODULE, PROMETHEUS_MODULE, buildModule, moduleFolder, type GoModule } from './module-build'

/** The third-party programs of the stack. */
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
  /** Absolute path; it can be started without changes to its environment. */
  readonly path: string
  /** Such as `7.0.15`. */
  readonly version: string
  readonly origin: Origin
}

/** Found on the `PATH`, unpacked from a Debian package, or built by Go; the last two are in the cache folder. */
export type Origin = 'path' | 'package' | 'built'

/** For people: `prometheus 3.16.0 (built)`. */
export function describeBinary({ name, version, origin }: { name: string; version: string; origin: Origin }): string {
  const from: Readonly<Record<Origin, string>> = { path: 'on the PATH', package: 'Debian package', built: 'built' }
  return `${name} ${version} (${from[origin]})`
}

export interface FindOptions {
  /** Folders to look in, as in `PATH`; default: the environment's. */
  readonly searchPath?: string
  /** Folder for fetched and built programs; default: the user's cache folder. */
  readonly cacheFolder?: string
  /** Path of the Go command; undefined: Go is not installed, so nothing can be built. */
  readonly go?: string | undefined
  /** Puts `bin/NAME` into the given folder; undefined: nothing can be fetched on this system. */
  readonly fetch?: ((folder: string, log: (line: string) => void) => Promise<void>) | undefined
  /** Receives progress lines; default: standard error. */
  readonly log?: (line: string) => void
}

/** A program is neither on the `PATH` nor in the cache, and could not be fetched or built; the message says how to get it. */
export class BinaryMissing extends Error {
  override readonly name = 'BinaryMissing'
}

interface Product {
  /** Possible names of the program, the upstream project's name first. */
  readonly aliases: readonly string[]
  readonly brew: string | undefined
  readonly debian: string
  readonly releases: string
  /** The module it is built from if it is not on the `PATH`; undefined: it comes from a Debian package. */
  readonly module?: GoModule
}

const REDIS = { brew: 'redis', releases: 'https://redis.io/docs/latest/operate/oss_and_stack/install/' }
const PROMETHEUS = {
  brew: 'prometheus',
  debian: 'prometheus',
  releases: 'https://prometheus.io/download/#prometheus',
  module: PROMETHEUS_MODULE,
}
const ALERTMANAGER = {
  brew: undefined,
  debian: 'prometheus-alertmanager',
  releases: 'https://prometheus.io/download/#alertmanager',
  module: ALERTMANAGER_MODULE,
}

const PRODUCTS: Readonly<Record<BinaryName, Product>> = {
  'redis-server': { ...REDIS, aliases: ['redis-server'], debian: 'redis-server' },
  'redis-cli': { ...REDIS, aliases: ['redis-cli'], debian: 'redis-tools' },
  'redis-sentinel': { ...REDIS, aliases: ['redis-sentinel'], debian: 'redis-sentinel' },
  prometheus: { ...PROMETHEUS, aliases: ['prometheus'] },
  promtool: { ...PROMETHEUS, aliases: ['promtool'] },
  alertmanager: { ...ALERTMANAGER, aliases: ['alertmanager', 'prometheus-alertmanager'] },
  amtool: { ...ALERTMANAGER, aliases: ['amtool'] },
  redis_exporter: {
    aliases: ['redis_exporter', 'prometheus-redis-exporter'],
    brew: undefined,
    debian: 'prometheus-redis-exporter',
    releases: 'https://github.com/oliver006/redis_exporter/releases',
  },
}

const run = promisify(execFile)
/**
 * Results so far, failures included: a build that takes minutes to fail is not repeated for each program and test file.
 */
const found = new Map<BinaryName, Promise<Binary>>()
const builds = new Map<GoModule, Promise<void>>()

/** Whether `findBinary` may have to build the program, which takes minutes. */
export function isBuiltByGo(name: BinaryName): boolean {
  return PRODUCTS[name].module !== undefined
}

/**
 * Finds a program of the stack: on the `PATH`, in the cache folder, or by adding it there. Prometheus and Alertmanager
 * with their tools are built from their Go modules, which takes minutes; the others are unpacked from Debian packages
 * (Debian and Ubuntu), which takes seconds. Nothing is installed system-wide, so no service starts.
 *
 * @throws {BinaryMissing} if it is not available here, after at most 40 minutes; the message says how to get it.
 */
export async function findBinary(name: BinaryName, options: FindOptions = {}): Promise<Binary> {
  const search = async (): Promise<Binary> =>
    (await findOnPath(name, options.searchPath)) ??
    (PRODUCTS[name].module === undefined
      ? await findPackaged(name, options)
      : await findBuilt(name, PRODUCTS[name].module, options))
  // Only results for the default places are cached: a caller that names others gets a new search.
  if (!usesDefaults(options)) return search()
  const known = found.get(name) ?? search()
  found.set(name, known)
  return known
}

/**
 * Finds promtool or amtool of the system's Debian release, 2.42 and 0.25 on Debian 12: the oldest versions that the
 * rules and routes support.
 *
 * @throws {BinaryMissing} on other systems.
 */
export async function findOlderTool(name: 'promtool' | 'amtool', log = writeToStandardError): Promise<Binary> {
  const release = await debianRelease()
  const missing = `an older ${name}, for a compatibility test of the monitoring files`
  if (release === undefined) throw new BinaryMissing(`${missing}: only on Debian and Ubuntu`)
  const folder = join(defaultCacheFolder(), `${release}-older-tools`)
  try {
    await fetchDebianPrograms(folder, OLDER_TOOLS, log)
  } catch (error) {
    throw new BinaryMissing(`${missing}: could not be fetched: ${messageOf(error)}`, { cause: error })
  }
  const binary = await tryBinary(name, join(folder, 'bin', name), 'package')
  if (binary === undefined) throw new BinaryMissing(`${missing}: is not in, or does not run from, ${folder}`)
  return binary
}

/** The user's cache folder of this project; outside the tree, so that `git clean` keeps it and clones share it. */
export function defaultCacheFolder(): string {
  const base = process.platform === 'win32' ? process.env['LOCALAPPDATA'] : (process.env['XDG_CACHE_HOME'] ?? undefined)
  // The standard says to ignore a relative XDG_CACHE_HOME; it would depend on the working directory.
  const folder = base !== undefined && isAbsolute(base) ? base : join(homedir(), '.cache')
  return join(folder, 'myesi-gateway')
}

async function findOnPath(name: BinaryName, searchPath: string | undefined): Promise<Binary | undefined> {
  const folders = (searchPath ?? process.env['PATH'] ?? '').split(delimiter).filter(folder => isAbsolute(folder))
  for (const alias of PRODUCTS[name].aliases) {
    for (const folder of folders) {
      const binary = await tryBinary(name, join(folder, executable(alias)), 'path')
      if (binary !== undefined) return binary
    }
  }
  return undefined
}

async function findPackaged(name: BinaryName, options: FindOptions): Promise<Binary> {
  const release = await debianRelease()
  const fetchPackages = async (folder: string, log: (line: string) => void): Promise<void> =>
    fetchDebianPrograms(folder, STACK_PACKAGES, log)
  const fetch = 'fetch' in options ? options.fetch : release === undefined ? undefined : fetchPackages
  if (fetch === undefined) throw new BinaryMissing(howToGet(name, 'not found on the PATH'))
  const folder = join(options.cacheFolder ?? defaultCacheFolder(), release ?? process.platform)
  const path = join(folder, 'bin', name)
  try {
    const cached = await tryBinary(name, path, 'package')
    if (cached !== undefined) return cached
    // A cache that no longer works (a shared library was removed from the system) is rebuilt, not repaired.
    if (await isExecutable(path)) await rm(folder, { recursive: true, force: true })
    await fetch(folder, options.log ?? writeToStandardError)
  } catch (error) {
    throw new BinaryMissing(howToGet(name, `could not be fetched: ${messageOf(error)}`), { cause: error })
  }
  const fetched = await tryBinary(name, path, 'package')
  if (fetched === undefined) throw new BinaryMissing(howToGet(name, `is not in, or does not run from, ${folder}`))
  return fetched
}

async function findBuilt(name: BinaryName, module: GoModule, options: FindOptions): Promise<Binary> {
  const target = join(options.cacheFolder ?? defaultCacheFolder(), moduleFolder(module))
  const path = join(target, executable(name))
  const cached = await tryBinary(name, path, 'built')
  if (cached !== undefined) return cached
  const go = 'go' in options ? options.go : await findGo()
  if (go === undefined) throw new BinaryMissing(howToGet(name, 'not found on the PATH, nor Go to build it with'))
  const startBuild = async (): Promise<void> =>
    buildModule(module, { go, target, log: options.log ?? writeToStandardError })
  try {
    if (usesDefaults(options)) {
      const build = builds.get(module) ?? startBuild()
      builds.set(module, build)
      await build
    } else await startBuild()
  } catch (error) {
    throw new BinaryMissing(howToGet(name, `could not be built: ${messageOf(error)}`), { cause: error })
  }
  const built = await tryBinary(name, path, 'built')
  if (built === undefined) throw new BinaryMissing(howToGet(name, `was built, but does not run from ${target}`))
  return built
}

function usesDefaults(options: FindOptions): boolean {
  return Object.keys(options).every(key => key === 'log')
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

function howToGet(name: BinaryName, problem: string): string {
  const { brew, debian, releases, module } = PRODUCTS[name]
  const ways = [
    ...(process.platform === 'linux' ? [`apt-get install ${debian} (Debian, Ubuntu)`] : []),
    ...(process.platform === 'darwin' && brew !== undefined ? [`brew install ${brew}`] : []),
    `unpack its release from ${releases} and put it on the PATH`,
    ...(module === undefined ? [] : ['install Go (https://go.dev/dl/), and it is built']),
  ]
  return `${name}: ${problem}. To get it: ${ways.join(', or ')}.`
}

function writeToStandardError(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** The error for people: a failed command's own output without the command line that execFile adds. */
function messageOf(error: unknown): string {
  const text =
    error instanceof Error ? ((error as { stderr?: string }).stderr ?? '').trim() || error.message : String(error)
  return text.split('\n').slice(-3).join(' ')
}
