import '../tools/stack/require-node'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, globSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import { BINARY_NAMES, describeBinary, findBinary, findOlderTool, isBuiltByGo } from '../tools/stack/binaries'
import { findCollector } from '../tools/stack/collector'
import { findBrowser } from './support/browser'
import { until } from './support/until'
import type { Summary } from './support/reporter'

/**
 * `npm test`: gets the programs that tests of the whole stack need, runs mocha on the compiled tests, and closes with the
 * line `N passed, N failed`. Arguments go to mocha; files and folders may be named as sources or as built.
 */

/** Compiled, this file is dist/test/run.js. */
const ROOT = resolve(__dirname, '../..')
/** For the compatibility tests of the monitoring files. */
const OLDER_TOOLS = ['promtool', 'amtool'] as const
/** Takes longer than a change should have to wait for: `npm run test:long`. */
const LONG = 'long'
const CI = process.env['CI'] === 'true'
/** Mocha ends by itself when nothing is open any more; a test that forgot to close something shows here. */
const MOCHA_EXIT_TIMEOUT_MS = 15_000

interface MochaResult {
  readonly summary: Summary | undefined
  readonly exitCode: number
  readonly problems: readonly string[]
}

void main()

async function main(): Promise<void> {
  const given = process.argv.slice(2)
  // Mocha would take no named test for all of them.
  const absent = given.filter(
    argument => /^(?:\.\/)?(?:dist\/)?test\//.test(argument) && !existsSync(join(ROOT, argument)),
  )
  if (absent.length > 0) return finish(undefined, [`There is no ${absent.join(', no ')}.`])
  const missing = await findPrograms(given)
  if (CI && missing.length > 0) return finish(undefined, [...missing, 'With CI=true nothing may be missing.'])
  // Every process started in this run inherits it, so that those left behind can be told from others.
  const runId = randomUUID()
  const { summary, exitCode, problems } = await runMocha(mochaArguments(given), runId)
  const leftovers = await endLeftovers(runId)
  if (missing.length > 0) print('\nNot everything could run here:', ...missing.map(line => `  ${line}`))
  finish(summary, [...problems, ...leftovers], exitCode)
}

/** @returns one sentence for each program that cannot be had here. */
async function findPrograms(given: readonly string[]): Promise<string[]> {
  const all = namedTests(given).length === 0
  const finders: (() => Promise<string>)[] = [
    // Minutes to build where it never was: tests that are named one by one have it built themselves, if they need it.
    ...BINARY_NAMES.filter(name => all || !isBuiltByGo(name)).map(
      name => async () => describeBinary(await findBinary(name)),
    ),
    ...(all ? OLDER_TOOLS.map(name => async () => describeBinary(await findOlderTool(name))) : []),
    ...(all ? [async () => describeBrowser(await findBrowser())] : []),
    ...(all ? [async () => describeBinary(await findCollector())] : []),
  ]
  const missing: string[] = []
  const versions: string[] = all ? [] : await alreadyBuilt()
  for (const find of finders) {
    try {
      versions.push(await find())
    } catch (error) {
      missing.push(error instanceof Error ? error.message : String(error))
    }
  }
  print(`node ${process.versions.node}, ${versions.join(', ')}`)
  for (const line of missing) print(line)
  return missing
}

async function alreadyBuilt(): Promise<string[]> {
  const names = BINARY_NAMES.filter(isBuiltByGo)
  const found = await Promise.allSettled(names.map(async name => findBinary(name, { go: undefined })))
  return found.flatMap(result => (result.status === 'fulfilled' ? [describeBinary(result.value)] : []))
}

function describeBrowser({ name, version }: { name: string; version: string }): string {
  return `${name} ${version}`
}

function namedTests(given: readonly string[]): readonly string[] {
  return given.filter(argument => !argument.startsWith('-') && existsSync(resolve(ROOT, argument)))
}

function mochaArguments(given: readonly string[]): string[] {
  const named = namedTests(given)
  const options = given.filter(argument => !named.includes(argument))
  const sources = named.length > 0 ? named.flatMap(testsIn) : testsIn('test')
  return [
    `--reporter=${join(ROOT, 'dist/test/support/reporter.js')}`,
    // One of thousands that a busy machine disturbs is tried once more, and named at the end: it is a defect of the test.
    ...(CI ? ['--forbid-only', '--forbid-pending', '--retries=1'] : []),
    ...options,
    ...sources,
  ]
}

/** Built tests, listed by their sources: a test that was renamed or deleted is not run from what an earlier build left. */
function testsIn(path: string): string[] {
  const source = relative(ROOT, resolve(ROOT, path))
    .replace(/^dist[/\\]/, '')
    .replace(/\.js$/, '.ts')
  const absolute = join(ROOT, source)
  const sources = statSync(absolute).isDirectory()
    ? globSync('**/*.test.ts', { cwd: absolute, exclude: source === 'test' ? [LONG] : [] }).map(file =>
        join(source, file),
      )
    : [source]
  return sources.sort().map(file => join('dist', file.replace(/\.ts$/, '.js')).split(sep).join('/'))
}

async function runMocha(args: readonly string[], runId: string): Promise<MochaResult> {
  const mocha = spawn(process.execPath, [require.resolve('mocha/bin/mocha.js'), ...args], {
    cwd: ROOT,
    env: { ...process.env, TEST_RUN_ID: runId },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  process.on('SIGTERM', () => mocha.kill('SIGTERM'))
  // Ctrl-C reaches mocha by itself, and a second one would have it stop without tidying up: wait for its end.
  process.on('SIGINT', () => {})
  const problems: string[] = []
  let summary: Summary | undefined
  let timer: NodeJS.Timeout | undefined
  mocha.on('message', message => {
    summary = message as Summary
    timer = setTimeout(() => {
      problems.push(`mocha was done but did not end within ${MOCHA_EXIT_TIMEOUT_MS} ms: a test left something open`)
      mocha.kill('SIGKILL')
    }, MOCHA_EXIT_TIMEOUT_MS)
  })
  return new Promise(resolve => {
    mocha.once('error', error => problems.push(error.message))
    mocha.once('close', code => {
      clearTimeout(timer)
      if (summary === undefined) problems.push('mocha ended before its tests did')
      else if (summary.passed + summary.failed === 0) problems.push('no test ran')
      resolve({ summary, exitCode: code ?? 1, problems })
    })
  })
}

/** Ends what the tests started and did not end. Read from /proc: on other systems than Linux nothing is checked. */
async function endLeftovers(runId: string): Promise<string[]> {
  // Processes that are just ending get the time to do so.
  const gone = await until(() => processesOf(runId).length === 0, { what: 'no process left', timeoutMs: 3_000 }).catch(
    () => false,
  )
  if (gone) return []
  return processesOf(runId).map(({ pid, command }) => {
    process.kill(pid, 'SIGKILL')
    return `left running by a test, now killed: process ${pid}, ${command}`
  })
}

function processesOf(runId: string): { pid: number; command: string }[] {
  if (process.platform !== 'linux') return []
  const marker = `TEST_RUN_ID=${runId}`
  return readdirSync('/proc')
    .filter(entry => /^\d+$/.test(entry))
    .flatMap(entry => {
      try {
        if (!readFileSync(`/proc/${entry}/environ`, 'latin1').split('\0').includes(marker)) return []
        const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
        return [{ pid: Number(entry), command }]
      } catch {
        // It ended meanwhile, or belongs to somebody else.
        return []
      }
    })
}

/** The last line is the one that scripts read. */
function finish(summary: Summary | undefined, problems: readonly string[], exitCode = 1): void {
  for (const problem of problems) print(problem)
  for (const test of summary?.unsteady ?? []) print(`did not pass at once: ${test}`)
  const { passed, failed, skipped } = summary ?? { passed: 0, failed: 0, skipped: 0 }
  const failures = problems.length > 0 ? Math.max(failed, 1) : failed
  print(`\n${passed} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  process.exitCode = problems.length > 0 ? 1 : exitCode
}

function print(...lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${line}\n`)
}
