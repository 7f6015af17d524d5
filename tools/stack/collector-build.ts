import { constants as osConstants, setPriority } from 'node:os'
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { constants } from 'node:fs'
import { delimiter, dirname, isAbsolute, join } from 'node:path'
import { takeLock } from './lock-file'
import { ManagedProcess } from './managed-process'

/** For all of it. Five minutes on two cores without anything cached; most of it is compiling. */
const BUILD_TIMEOUT_MS = 40 * 60_000
/** Between two signs of life. */
const PROGRESS_INTERVAL_MS = 30_000

export interface CollectorBuild {
  /** The Go command. */
  readonly go: string
  /** The Builder's manifest. */
  readonly manifest: string
  /** Of the Builder, which is that of the parts it builds with. */
  readonly version: string
  /** Where the program goes; its folder is made. */
  readonly target: string
  readonly log: (line: string) => void
}

/** The Go command: from the `PATH`, or from where its own installer puts it without touching the `PATH`. */
export async function findGo(): Promise<string | undefined> {
  const name = process.platform === 'win32' ? 'go.exe' : 'go'
  const usual = process.platform === 'win32' ? 'C:\\Program Files\\Go\\bin' : '/usr/local/go/bin'
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter(folder => isAbsolute(folder)), usual]
  for (const folder of folders) {
    const path = join(folder, name)
    if (await isExecutable(path)) return path
  }
  return undefined
}

/**
 * Builds a Collector with the OpenTelemetry Collector Builder, both from the Go module proxy, at the lowest priority. Any
 * number of processes may call it at once: one does the work, the others wait for it.
 *
 * @throws with the last lines of the step that failed, or after 40 minutes.
 */
export async function buildCollector(build: CollectorBuild): Promise<void> {
  const { target, log } = build
  await mkdir(dirname(target), { recursive: true })
  const release = await takeLock(`${target}.lock`, { timeoutMs: BUILD_TIMEOUT_MS, log })
  try {
    if (await isExecutable(target)) return
    const draft = await mkdtemp(`${target}.draft-`)
    try {
      await buildInto(draft, build)
      // Only a complete program ever has its name, whatever is killed when.
      await rename(join(draft, 'dist', executable('otelcol')), target)
    } finally {
      await rm(draft, { recursive: true, force: true, maxRetries: 3 })
    }
  } finally {
    await release()
  }
}

async function buildInto(draft: string, { go, manifest, version, target, log }: CollectorBuild): Promise<void> {
  const startedAt = Date.now()
  const deadline = startedAt + BUILD_TIMEOUT_MS
  log(`Building the OpenTelemetry Collector ${version}, once, into ${dirname(target)}; this takes about five minutes`)
  const env = {
    ...process.env,
    // The Builder calls go itself and looks for it there.
    PATH: [dirname(go), process.env['PATH'] ?? ''].join(delimiter),
    GOBIN: draft,
    // A workspace of whoever runs this would replace the pinned modules.
    GOWORK: 'off',
    CGO_ENABLED: '0',
  }
  const step = async (name: string, path: string, args: readonly string[]): Promise<void> =>
    runStep({ name, path, args, env, cwd: draft }, deadline, log)
  await step('the Builder', go, ['install', `go.opentelemetry.io/collector/cmd/builder@v${version}`])
  // Strict: the versions in the manifest are the versions built, or it fails.
  const builder = join(draft, executable('builder'))
  await step('the Collector', builder, [`--config=${manifest}`, '--skip-strict-versioning=false'])
  log(`Built the Collector in ${Math.round((Date.now() - startedAt) / 1000)} s`)
}

interface Step {
  readonly name: string
  readonly path: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
}

async function runStep(step: Step, deadline: number, log: (line: string) => void): Promise<void> {
  const startedAt = Date.now()
  const child = new ManagedProcess(step)
  if (child.pid !== undefined) yieldToOthers(child.pid)
  const progress = setInterval(() => {
    const doing = child.lines.at(-1)?.startsWith('go: downloading') === true ? 'downloading' : 'compiling'
    log(`  ${step.name}: ${doing}, ${Math.round((Date.now() - startedAt) / 1000)} s`)
  }, PROGRESS_INTERVAL_MS)
  const timer = setTimeout(() => child.signal('SIGKILL'), deadline - startedAt)
  const { code } = await child.exited
  clearInterval(progress)
  clearTimeout(timer)
  if (code !== 0) throw child.failure(Date.now() >= deadline ? 'took too long' : 'failed')
}

/** Every process that it starts inherits the priority: compiling may not slow down what people wait for. */
function yieldToOthers(pid: number): void {
  try {
    setPriority(pid, osConstants.priority.PRIORITY_LOW)
  } catch {
    // It has ended already, or the system does not let us: then it is only impolite.
  }
}

function executable(name: string): string {
  return process.platform === 'win32' ? `${name}.exe` : name
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
