import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import type { ProcessSpec } from './processes.ts'

/** A built version of the gateway. */
export interface Tree {
  readonly title: string
  readonly folder: string
}

interface GatewayCommand {
  readonly gatewayArguments: (dist: string, more?: readonly string[]) => string[]
}

const require = createRequire(import.meta.url)
/** Maximum trees in the cache folder; the oldest builds are removed. */
const MAX_TREES = 20
/** Paths of the module that starts the gateway; the second is that of older trees. */
const COMMANDS = ['dist/src/process/gateway-command.js', 'dist/src/gateway-command.js']
const ENTRY = 'dist/src/main.js'

export const ROOT = resolve(import.meta.dirname, '..')

/** Copies this tree's current build, so that it may be rebuilt during the measurement. */
export function thisTree(folder: string): Tree {
  const copy = join(folder, 'this-tree')
  cpSync(join(ROOT, 'dist'), join(copy, 'dist'), { recursive: true })
  copyFileSync(join(ROOT, 'package.json'), join(copy, 'package.json'))
  linkOurModules(copy)
  return { title: 'this tree', folder: copy }
}

/**
 * The Node arguments with which a tree starts its own gateway, so that changes of V8 options are measured too.
 *
 * @param more additional Node arguments
 */
export function gatewayArguments({ folder }: Tree, more: readonly string[] = []): string[] {
  const path = COMMANDS.map(command => join(folder, command)).find(command => existsSync(command))
  if (path === undefined) throw new Error(`${folder} has none of ${COMMANDS.join(', ')}`)
  const command = require(path) as GatewayCommand
  return command.gatewayArguments(join(folder, 'dist'), more)
}

/** The user's cache folder of this project. */
export function cacheFolder(): string {
  const binaries = ours('tools/stack/binaries.js') as { readonly defaultCacheFolder: () => string }
  return join(binaries.defaultCacheFolder(), 'bench')
}

/** Redis as the stack finds it: on the PATH, or unpacked in the cache folder. Without persistence. */
export async function redisServer(port: number): Promise<ProcessSpec> {
  const { findBinary } = ours('tools/stack/binaries.js') as {
    readonly findBinary: (name: string) => Promise<{ readonly path: string }>
  }
  const { path } = await findBinary('redis-server')
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  return { name: 'redis', command: path, args, port }
}

/** Loads a built module of this tree. */
export function ours(path: string): unknown {
  return require(join(ROOT, 'dist', path))
}

/**
 * @param wanted folder of a built tree, or a git reference, which is built in the user's cache folder unless it is
 * there
 */
export function findTree(wanted: string): Tree {
  if (existsSync(join(wanted, ENTRY))) return { title: wanted, folder: resolve(wanted) }
  const commit = git('rev-parse', '--verify', '--quiet', '--end-of-options', `${wanted}^{commit}`).toString().trim()
  const folder = join(cacheFolder(), 'trees', commit)
  if (!existsSync(folder)) build(commit, folder)
  // The link may point to a tree that was removed.
  if (!existsSync(join(folder, 'node_modules'))) linkOurModules(folder)
  return { title: `${wanted} (${commit.slice(0, 8)})`, folder }
}

/** Builds in a draft folder and renames it, so that the cache only has complete trees. */
function build(commit: string, folder: string): void {
  process.stderr.write(`building ${commit.slice(0, 8)}\n`)
  mkdirSync(dirname(folder), { recursive: true })
  const draft = mkdtempSync(`${folder}.draft-`)
  try {
    const options = { cwd: draft, stdio: ['pipe', 'ignore', 'inherit'] as ['pipe', 'ignore', 'inherit'] }
    execFileSync('tar', ['-x'], { ...options, input: git('archive', commit) })
    if (needsOurModules(draft)) linkOurModules(draft)
    else execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], options)
    execFileSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], options)
    renameSync(draft, folder)
    removeOldest(dirname(folder))
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    throw error
  }
}

function removeOldest(folder: string): void {
  const trees = readdirSync(folder)
    .filter(name => !name.includes('.draft-'))
    .map(name => join(folder, name))
    .sort((a, b) => statSync(b).ctimeMs - statSync(a).ctimeMs)
  for (const tree of trees.slice(MAX_TREES)) rmSync(tree, { recursive: true, force: true })
}

function needsOurModules(folder: string): boolean {
  const [ours, theirs] = [ROOT, folder].map(tree => readFileSync(join(tree, 'package-lock.json'), 'utf8'))
  return ours === theirs
}

function linkOurModules(folder: string): void {
  const link = join(folder, 'node_modules')
  rmSync(link, { force: true })
  symlinkSync(join(ROOT, 'node_modules'), link)
}

function git(...args: readonly string[]): Buffer {
  try {
    return execFileSync('git', args, { cwd: ROOT, maxBuffer: 1024 ** 3, stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    throw new Error(`neither a built tree nor a git reference, or git failed: git ${args.join(' ')}`, { cause: error })
  }
}
