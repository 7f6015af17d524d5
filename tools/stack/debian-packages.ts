import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { takeLock } from './lock-file'

const run = promisify(execFile)

/** Programs wanted from each package: our name, and the path in the package. */
export type Packages = Readonly<Record<string, Readonly<Record<string, string>>>>

/** Programs of the stack that run from an unpacked package as they are. */
export const STACK_PACKAGES: Packages = {
  'redis-tools': { 'redis-cli': 'usr/bin/redis-cli' },
  'redis-server': { 'redis-server': 'usr/bin/redis-server' },
  'redis-sentinel': { 'redis-sentinel': 'usr/bin/redis-sentinel' },
  'prometheus-redis-exporter': { redis_exporter: 'usr/bin/prometheus-redis-exporter' },
}

/** Debian's Prometheus and Alertmanager are old, so their tools test that rules and routes work with old versions. */
export const OLDER_TOOLS: Packages = {
  prometheus: { promtool: 'usr/bin/promtool' },
  'prometheus-alertmanager': { amtool: 'usr/bin/amtool' },
}

/** Raised when the fetched programs or their layout change: folders of an earlier layout are no longer used. */
const LAYOUT = 3

/** How long one step of apt may take. The network is the only slow part: about 40 MB at most. */
const STEP_TIMEOUT_MS = 240_000

/**
 * The folder's name for this release, such as `debian-12-x64-2`, if apt and dpkg are available; undefined elsewhere.
 */
export async function debianRelease(): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const field = (name: string): string => new RegExp(`^${name}="?([^"\n]*)"?$`, 'm').exec(text)?.[1] ?? ''
  if (!`${field('ID')} ${field('ID_LIKE')}`.split(' ').includes('debian')) return undefined
  return `${field('ID')}-${field('VERSION_ID') || 'rolling'}-${process.arch}-${LAYOUT}`
}

/**
 * Fetches programs from the system's own Debian sources and unpacks them into `folder`, with a start script for each in
 * `folder/bin`, unless they are there. Needs no root and installs nothing. Several processes may call it at once: one
 * works and the others wait for it.
 */
export async function fetchDebianPrograms(
  folder: string,
  packages: Packages,
  log: (line: string) => void,
): Promise<void> {
  await mkdir(dirname(folder), { recursive: true })
  const release = await takeLock(`${folder}.lock`, { timeoutMs: 2 * STEP_TIMEOUT_MS, log })
  try {
    if (await exists(folder)) return
    // Unpacked into a draft and renamed, so that a folder of this name is always complete, even after a kill.
    const draft = await mkdtemp(`${folder}.draft-`)
    try {
      await fetchInto(draft, packages, log)
      await rename(draft, folder).catch(async (error: unknown) => {
        // The lock's owner was alive after all; its result is used.
        if (!(await exists(folder))) throw error
      })
    } finally {
      await rm(draft, { recursive: true, force: true })
    }
  } finally {
    await release()
  }
}

async function fetchInto(draft: string, packages: Packages, log: (line: string) => void): Promise<void> {
  const wanted = Object.keys(packages)
  log(`Fetching ${wanted.join(', ')} as Debian packages, once, into ${dirname(draft)}`)
  const state = join(draft, 'apt')
  const debs = join(state, 'debs')
  await mkdir(join(state, 'state', 'lists', 'partial'), { recursive: true })
  await mkdir(join(state, 'cache', 'archives', 'partial'), { recursive: true })
  await mkdir(debs)
  const apt = async (command: 'apt-get' | 'apt-cache', ...args: string[]): Promise<string> => {
    const options = { cwd: debs, timeout: STEP_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 }
    return (await run(command, [...privateApt(state), '-qq', ...args], options)).stdout
  }
  await apt('apt-get', 'update')
  // An older release may lack one of the packages; the others are still useful, and findBinary reports the missing
  // ones.
  const offered = await apt('apt-cache', 'madison', ...wanted)
  const names = wanted.filter(name => new RegExp(`^\\s*${name} \\|`, 'm').test(offered))
  const uris = await apt('apt-get', 'install', '--print-uris', '--no-install-recommends', ...names)
  await apt('apt-get', 'download', ...names, ...missingLibraries(uris, names))
  for (const deb of await readdir(debs)) await run('dpkg', ['-x', join(debs, deb), draft], { timeout: STEP_TIMEOUT_MS })
  await rm(state, { recursive: true, force: true })
  await writeStartScripts(draft, packages)
}

/**
 * Options that make apt read the system's sources and package state but write only below `folder`: it needs no root.
 */
function privateApt(folder: string): string[] {
  const settings = [
    `Dir::State=${join(folder, 'state')}`,
    'Dir::State::status=/var/lib/dpkg/status',
    `Dir::Cache=${join(folder, 'cache')}`,
    'Acquire::Languages=none',
    'Acquire::Retries=2',
    'Acquire::http::Timeout=30',
    // As root, apt would download as the user _apt, who has no access to a private folder.
    'APT::Sandbox::User=root',
  ]
  return settings.flatMap(setting => ['-o', setting])
}

/** The packages with shared libraries among those that apt would install: `_all` packages have none. */
function missingLibraries(uris: string, names: readonly string[]): string[] {
  const files = [...uris.matchAll(/^'[^']*' ([^_ ]+)_[^_ ]+_([^_ ]+)\.deb /gm)]
  return files
    .filter(([, name, architecture]) => architecture !== 'all' && !names.includes(name ?? ''))
    .map(([, name]) => name ?? '')
}

async function writeStartScripts(folder: string, packages: Packages): Promise<void> {
  await mkdir(join(folder, 'bin'))
  const libraries = (await exists(join(folder, 'usr/lib')))
    ? (await readdir(join(folder, 'usr/lib')))
        .filter(entry => entry.includes('-linux-'))
        .map(entry => `$root/usr/lib/${entry}`)
    : []
  const programs = Object.assign({}, ...Object.values(packages)) as Record<string, string>
  for (const [name, program] of Object.entries(programs)) {
    if (!(await exists(join(folder, program)))) continue
    const lines = [
      '#!/bin/sh',
      '# Starts a program out of unpacked packages; exec keeps the process id, so that signals reach the program.',
      'root=${0%/bin/*}',
      ...(libraries.length === 0
        ? []
        : [`export LD_LIBRARY_PATH="${libraries.join(':')}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"`]),
      `exec "$root/${program}" "$@"`,
    ]
    await writeFile(join(folder, 'bin', name), `${lines.join('\n')}\n`, { mode: 0o755 })
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
