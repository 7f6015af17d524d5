import { constants as osConstants, setPriority } from 'node:os'
import { access, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { constants, rmSync } from 'node:fs'
import { basename, delimiter, dirname, isAbsolute, join } from 'node:path'
import { takeLock } from './lock-file'
import { ManagedProcess } from './managed-process'

/** Limit for one build with its downloads; on two busy cores a build takes a quarter of it. */
export const BUILD_TIMEOUT_MS = 40 * 60_000
/** Time between two progress lines. */
const PROGRESS_INTERVAL_MS = 30_000

export interface GoBuild {
  /** For people: `Prometheus 3.16.0`. */
  readonly what: string
  /** The Go command. */
  readonly go: string
  /** The file or folder that is built; its parent folder is created. */
  readonly target: string
  readonly log: (line: string) => void
  /** Whether `target` exists and is complete. */
  readonly isBuilt: () => Promise<boolean>
  /** Builds in an empty draft folder and returns the path of the result, which is moved to `target`. */
  readonly build: (draft: string, step: GoStep) => Promise<string>
}

/**
 * Runs one command of a build and returns its output by line.
 *
 * @throws with its last lines if it fails or the build's time is up.
 */
export type GoStep = (name: string, path: string, args: readonly string[], options?: StepOptions) => Promise<string[]>

export interface StepOptions {
  /** Default: the draft. */
  readonly cwd?: string
  /** Added to the environment. */
  readonly env?: NodeJS.ProcessEnv
}

/** Finds the Go command: on the `PATH`, or where its installer puts it without changing the `PATH`. */
export async function findGo(): Promise<string | undefined> {
  const usual = process.platform === 'win32' ? 'C:\\Program Files\\Go\\bin' : '/usr/local/go/bin'
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter(folder => isAbsolute(folder)), usual]
  for (const folder of folders) {
    const path = join(folder, executable('go'))
    if (await isExecutable(path)) return path
  }
  return undefined
}

/**
 * Builds `target` unless it is built, at the lowest priority. Several processes may call it at once: one works and the
 * others wait for it.
 *
 * @throws with the last lines of the step that failed, or after 40 minutes.
 */
export async function buildOnce({ what, go, target, log, isBuilt, build }: GoBuild): Promise<void> {
  await mkdir(dirname(target), { recursive: true })
  const release = await takeLock(`${target}.lock`, { timeoutMs: BUILD_TIMEOUT_MS, log })
  try {
    if (await isBuilt()) return
    await removeAbandonedDrafts(target)
    const draft = await mkdtemp(`${target}.draft-`)
    // On Ctrl-C during a build, the code below does not run.
    const removeDraft = (): void => rmSync(draft, { recursive: true, force: true })
    process.once('exit', removeDraft)
    try {
      const startedAt = Date.now()
      log(`Building ${what}, once, into ${dirname(target)}; this takes some minutes`)
      const result = await build(draft, makeStep(go, draft, startedAt + BUILD_TIMEOUT_MS, log))
      // An existing incomplete target was damaged later: only complete results are moved there.
      await rm(target, { recursive: true, force: true })
      await rename(result, target).catch(async (error: unknown) => {
        // Two processes may take over the lock at once; the other's result is used.
        if (!(await isBuilt())) throw error
      })
      log(`Built ${what} in ${secondsSince(startedAt)} s`)
    } finally {
      process.off('exit', removeDraft)
      await rm(draft, { recursive: true, force: true, maxRetries: 3 })
    }
  } finally {
    await release()
  }
}

/** Removes drafts of killed builds: no build is older than its time limit. */
async function removeAbandonedDrafts(target: string): Promise<void> {
  for (const name of await readdir(dirname(target))) {
    if (!name.startsWith(`${basename(target)}.draft-`)) continue
    const path = join(dirname(target), name)
    const info = await stat(path).catch(() => undefined)
    if (info !== undefined && Date.now() - info.mtimeMs > BUILD_TIMEOUT_MS) {
      await rm(path, { recursive: true, force: true })
    }
  }
}

function makeStep(go: string, draft: string, deadline: number, log: (line: string) => void): GoStep {
  const goEnv = {
    ...process.env,
    // Programs that call go find it there.
    PATH: [dirname(go), process.env['PATH'] ?? ''].join(delimiter),
    // A Go workspace around the cache folder, or in the module, would replace the pinned modules.
    GOWORK: 'off',
    CGO_ENABLED: '0',
  }
  return async (name, path, args, { cwd = draft, env = {} } = {}) => {
    const startedAt = Date.now()
    const child = new ManagedProcess({ name, path, args, cwd, env: { ...goEnv, ...env } })
    if (child.pid !== undefined) yieldToOthers(child.pid)
    const progress = setInterval(() => {
      const doing = child.lines.at(-1)?.startsWith('go: downloading') === true ? 'downloading' : 'compiling'
      log(`  ${name}: ${doing}, ${secondsSince(startedAt)} s`)
    }, PROGRESS_INTERVAL_MS)
    const timer = setTimeout(() => child.signal('SIGKILL'), deadline - startedAt)
    const { code } = await child.exited
    clearInterval(progress)
    clearTimeout(timer)
    if (code !== 0) throw child.failure(Date.now() >= deadline ? 'took too long' : 'failed')
    return child.lines
  }
}

/**
 * Lowers the priority, which all its child processes inherit, so that compiling does not slow down interactive
 * programs.
 */
function yieldToOthers(pid: number): void {
  try {
    setPriority(pid, osConstants.priority.PRIORITY_LOW)
  } catch {
    // It has ended already, or the system does not allow it; the build works anyway.
  }
}

function secondsSince(startedAt: number): number {
  return Math.round((Date.now() - startedAt) / 1000)
}

/** The file name of a program on this system. */
export function executable(name: string): string {
  return process.platform === 'win32' ? `${name}.exe` : name
}

export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
