import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { BinaryMissing, defaultCacheFolder, type Binary } from './binaries'
import { buildCollector } from './collector-build'
import { executable, findGo } from './go-build'

/** The folder of our Collector's files; compiled, this file is dist/tools/stack/collector.js. */
const FOLDER = resolve(__dirname, '../../../otel/collector')
export const COLLECTOR_CONFIG = join(FOLDER, 'collector.yaml')
export const COLLECTOR_AGENT_CONFIG = join(FOLDER, 'agent.yaml')
const COLLECTOR_MANIFEST = join(FOLDER, 'builder.yaml')

/** Names of the upstream distributions; smaller ones that lack parts of our configuration are rejected. */
const ALIASES = ['otelcol', 'otelcol-contrib']

/** A Collector that accepts our configuration. `built`: from our builder.yaml, now or earlier. */
export interface CollectorBinary extends Omit<Binary, 'name'> {
  readonly name: 'otelcol'
}

export interface FindCollectorOptions {
  /** Folders to look in, as in `PATH`; default: the environment's. */
  readonly searchPath?: string
  /** Folder for built programs; default: the user's cache folder. */
  readonly cacheFolder?: string
  /** Path of the Go command; undefined: Go is not installed, so nothing can be built. */
  readonly go?: string | undefined
  /** Receives progress lines; default: standard error. */
  readonly log?: (line: string) => void
}

/** The result so far, failures included: a build that takes minutes to fail is not repeated for each test file. */
let found: Promise<CollectorBinary> | undefined

/**
 * Finds an OpenTelemetry Collector for otel/collector: one on the `PATH` that accepts our configuration, else the one
 * built earlier, else (if Go is installed) a new build in the user's cache folder. A build takes about 5 minutes at the
 * lowest priority, with a limit of 40 minutes; a changed builder.yaml is built again.
 *
 * @throws {BinaryMissing} if it is not available here; the message says how to get it.
 */
export async function findCollector(options: FindCollectorOptions = {}): Promise<CollectorBinary> {
  const search = async (): Promise<CollectorBinary> =>
    (await findOnPath(options.searchPath)) ?? (await findInCache(options))
  // Only results for the default places are cached: a caller that names others gets a new search.
  if (Object.keys(options).some(key => key !== 'log')) return search()
  found ??= search()
  return found
}

async function findOnPath(searchPath: string | undefined): Promise<CollectorBinary | undefined> {
  const folders = (searchPath ?? process.env['PATH'] ?? '').split(delimiter).filter(folder => isAbsolute(folder))
  for (const alias of ALIASES) {
    for (const folder of folders) {
      const collector = await tryCollector(join(folder, executable(alias)), 'path')
      if (collector !== undefined) return collector
    }
  }
  return undefined
}

async function findInCache(options: FindCollectorOptions): Promise<CollectorBinary> {
  const log = options.log ?? (line => process.stderr.write(`${line}\n`))
  const manifest = await readFile(COLLECTOR_MANIFEST, 'utf8')
  const { version } = (parse(manifest) as { dist: { version: string } }).dist
  // One folder per manifest, so that two checkouts do not replace each other's build.
  const hash = createHash('sha256').update(manifest).digest('hex').slice(0, 8)
  const name = executable(`otelcol-${version}-${process.platform}-${process.arch}-${hash}`)
  const path = join(options.cacheFolder ?? defaultCacheFolder(), name)
  const cached = await tryCollector(path, 'built')
  if (cached !== undefined) return cached
  const go = 'go' in options ? options.go : await findGo()
  if (go === undefined) throw new BinaryMissing(howToGet(version, 'not found on the PATH, nor Go to build it with'))
  try {
    await buildCollector({ go, manifest: COLLECTOR_MANIFEST, version, target: path, log })
    return await checkCollector(path, 'built')
  } catch (error) {
    throw new BinaryMissing(howToGet(version, `could not be built: ${messageOf(error)}`), { cause: error })
  }
}

const run = promisify(execFile)

async function tryCollector(path: string, origin: Binary['origin']): Promise<CollectorBinary | undefined> {
  return checkCollector(path, origin).catch(() => undefined)
}

/** Checks version and components by letting the program validate our configuration. */
async function checkCollector(path: string, origin: Binary['origin']): Promise<CollectorBinary> {
  // Runs without our environment: a wrong exporter name in it must not cause another build.
  const options = { timeout: 20_000, env: { PATH: process.env['PATH'] } }
  const { stdout } = await run(path, ['--version'], options)
  const version = /version v?(\d+\.\d+\.\d+)/.exec(stdout)?.[1]
  if (version === undefined) throw new Error(`${path} does not say its version`)
  await run(path, ['validate', `--config=${COLLECTOR_CONFIG}`], options)
  return { name: 'otelcol', path, version, origin }
}

function howToGet(version: string, problem: string): string {
  const release = `https://github.com/open-telemetry/opentelemetry-collector-releases/releases/tag/v${version}`
  return `otelcol: ${problem}. To get it: put otelcol-contrib ${version} or later on the PATH (${release}), or install Go (https://go.dev/dl/) and run npm run collector:build.`
}

/** One line for people: the last output of the failed command. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n').slice(-3).join(' ').trim()
}
