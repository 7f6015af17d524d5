import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chart } from './chart.ts'
import { findCores, type Cores } from './cores.ts'
import { GROUPS, besideOld, inParts, only } from './groups.ts'
import { measureLaunch, type Plan, type Slice } from './measure.ts'
import { MORE_GROUPS } from './more-groups.ts'
import { isSource, type PeerOptions, type Source } from './peers/find.ts'
import { helper, start, stopAll, type Listening, type Program } from './processes.ts'
import { MAX_PROCESSES, processesOf, type Batch, type Row } from './rows.ts'
import { shuffled } from './shuffled.ts'
import { meanRatio, median, ratios } from './statistics.ts'
import type { Surroundings } from './subjects.ts'
import { costTable, formatInterval, resultsOf, sharedCore, type Measured } from './table.ts'
import { findTree, thisTree, type Tree } from './trees.ts'
import { upstreamProgram } from './upstream.ts'

const USAGE = `npm run bench -- [group ...] [options]

  --list           the groups
  --against TREE   before and after: the gateway of another tree beside this one, and the ratio new ÷ old with its spread.
                   A git reference (built in the cache folder) or the folder of a built tree. Default rows: off, full-1
  --only a,b       these rows only
  --peers a,b      where other gateways come from: debian, npm, pypi (these are usual), go (builds Traefik and Caddy, slowly).
                   What is missing is installed in the user's cache folder, except for Debian's
  --quick          one launch with few rounds, for a first look; the spread is wide
  --launches N     how often every process is started afresh
  --rounds N       how often each row is measured in each launch
  --slice MS       how long each time
  --chart FILE     a chart of the last table, as SVG
  --json           everything that was measured, as JSON
`
const FULL: Plan = { launches: 5, rounds: 6, firstRequests: 20_000, warmUpRequests: 320, sliceMs: 500 }
const QUICK: Plan = { ...FULL, launches: 1, firstRequests: 8_000, sliceMs: 300 }
const AGAINST: Plan = { ...FULL, launches: 8, sliceMs: 400 }
const ROWS_AGAINST = ['bare-again', 'off', 'full-1']

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'boolean', default: false },
    against: { type: 'string' },
    only: { type: 'string' },
    peers: { type: 'string' },
    chart: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    launches: { type: 'string' },
    rounds: { type: 'string' },
    slice: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (options.help) process.stdout.write(USAGE)
else if (options.list)
  for (const [name, { title }] of Object.entries({ ...GROUPS, ...MORE_GROUPS })) print(`${name.padEnd(12)} ${title}`)
else if (process.platform !== 'linux')
  fail('the bench reads the CPU time of whole process trees from /proc: Linux only')
else await bench().catch((error: Error) => fail(error.message))

async function bench(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'myesi-gateway-bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const stop = (): void => void stopAll().finally(() => process.exit(130))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    await measureGroups(folder)
  } finally {
    await stopAll()
  }
}

async function measureGroups(folder: string): Promise<void> {
  const old = options.against === undefined ? undefined : findTree(options.against)
  const plan = planFromOptions()
  printConditions(plan, old) // before our own load is part of the load average
  const cores = findCores()
  say(
    cores
      ? `measured processes on core ${cores.measured}; clients, upstream and OTLP sink on core ${cores.others}`
      : 'nothing is pinned: that takes two cores and taskset. Ratios are less certain',
  )
  const upstream = await upstreamProgram(folder)
  const urlOf = ({ port }: Listening): string => `http://127.0.0.1:${port}`
  const sink = await start(helper('otlp-sink'), cores?.others)
  const surroundings = {
    folder,
    upstreamUrl: urlOf(await start(upstream, cores?.others)),
    sinkUrl: urlOf(sink),
  }
  const { program: load } = await start(helper('load'), cores?.others)
  const tree = thisTree(folder)
  for (const batch of await chosenBatches(tree, surroundings, old))
    await measureBatch(batch, load, sink.program, plan, cores)
  for (const { run } of chosenFrom(MORE_GROUPS)) {
    if (old) throw new Error(`--against is for CPU per request: ${Object.keys(GROUPS).join(', ')}`)
    print(`\n${await run({ tree, surroundings, peers: peerOptions(), cores, load, plan })}`)
  }
}

async function measureBatch(
  batch: Batch,
  load: Program,
  sink: Program,
  plan: Plan,
  cores: Cores | undefined,
): Promise<void> {
  const measured = new Map<Row, (readonly Slice[])[]>(batch.rows.map(row => [row, []]))
  const beside: Listening[] = []
  for (const spec of batch.beside ?? []) beside.push(await start(spec, cores?.others))
  const answered = new Map<string, number>()
  const spansBefore = await spansOf(sink)
  for (let launch = 1; launch <= plan.launches; launch++) {
    const running = new Map<string, Listening>()
    for (const spec of shuffled(processesOf(batch))) running.set(spec.name, await start(spec, cores?.measured))
    for (const [row, slices] of await measureLaunch(batch, running, load, plan)) measured.get(row)?.push(slices)
    // The last batches of spans are exported when the gateways end.
    await Promise.all([...running.values()].map(async ({ program }) => program.stop()))
    for (const [name, listening] of running) answered.set(name, (answered.get(name) ?? 0) + listening.answered)
    report(`${batch.title}: launch ${launch} of ${plan.launches}${soFar(measured)}`)
  }
  await Promise.all(beside.map(async ({ program }) => program.stop()))
  const spansPerRequest = new Map(
    Object.entries(await spansOf(sink))
      .filter(([name]) => answered.has(name))
      .map(([name, spans]) => [name, (spans - (spansBefore[name] ?? 0)) / (answered.get(name) ?? 0)]),
  )
  const results = resultsOf(batch, measured, spansPerRequest)
  if (options.json) print(JSON.stringify({ title: batch.title, results, measured: [...measured] }, undefined, 2))
  else print(`\n${batch.title}\n\n${costTable(batch, results)}\n\n${sharedCore(measured)}`)
  if (options.chart !== undefined) writeFileSync(options.chart, chart(results))
}

async function spansOf(sink: Program): Promise<Readonly<Record<string, number>>> {
  return (await sink.ask<{ spans: Record<string, number> }>('spans', 'spans')).spans
}

/** With `--against`: interim results of the launches so far, which show when a small difference is settled. */
function soFar(measured: Measured): string {
  return [...measured]
    .filter(([row]) => row.oldOf !== undefined)
    .map(([oldRow, old]) => {
      const [name, launches = []] = [...measured]
        .map(([row, own]) => [row.name, own] as const)
        .find(([name]) => name === oldRow.oldOf) ?? ['']
      const cost = (slices: readonly Slice[]): number[] => slices.map(slice => slice.timesReference)
      const interval = meanRatio(ratios(launches.map(cost), old.map(cost)).map(median))
      return interval ? `; ${name} new ÷ old ${interval.mean.toFixed(3)}, 95 %: ${formatInterval(interval)}` : ''
    })
    .join('')
}

async function chosenBatches(tree: Tree, surroundings: Surroundings, old: Tree | undefined): Promise<Batch[]> {
  const rowNames = options.only?.split(',') ?? (old && positionals.length === 0 ? ROWS_AGAINST : undefined)
  const peers = peerOptions()
  const batches: Batch[] = []
  for (const { batches: make } of chosenFrom(GROUPS)) {
    const own = await make(tree, surroundings, peers)
    if (old === undefined) batches.push(...own)
    else {
      // Uses a separate folder: files of both trees have the same names.
      const folder = join(surroundings.folder, 'old')
      mkdirSync(folder, { recursive: true })
      const olds = await make(old, { ...surroundings, folder }, { ...peers, sources: [] })
      batches.push(...own.map((batch, index) => besideOld(batch, olds[index] as Batch)))
    }
  }
  const chosen = batches
    .map(batch =>
      rowNames
        ? only(
            batch,
            rowNames.flatMap(name => [name, `${name}@old`]),
          )
        : batch,
    )
    .filter(batch => batch.rows.length > 0)
    .flatMap(batch => inParts(batch, MAX_PROCESSES))
  if (batches.length > 0 && chosen.length === 0) throw new Error(`no such row: --only ${options.only}`)
  return chosen
}

function chosenFrom<Kind>(groups: Readonly<Record<string, Kind>>): Kind[] {
  return groupNames().flatMap(name => groups[name] ?? [])
}

function groupNames(): string[] {
  const all = Object.keys({ ...GROUPS, ...MORE_GROUPS })
  for (const name of positionals) {
    if (!all.includes(name)) throw new Error(`no group "${name}"; there are ${all.join(', ')}`)
  }
  return positionals.length > 0 ? positionals : ['ladder']
}

function peerOptions(): PeerOptions {
  return { sources: options.peers?.split(',').map(sourceNamed), skip: say }
}

function sourceNamed(name: string): Source {
  if (!isSource(name)) throw new Error(`--peers takes debian, npm, pypi and go, not "${name}"`)
  return name
}

function planFromOptions(): Plan {
  const plan = options.quick ? QUICK : options.against === undefined ? FULL : AGAINST
  return {
    ...plan,
    launches: wholeNumber('launches', options.launches) ?? plan.launches,
    rounds: wholeNumber('rounds', options.rounds) ?? plan.rounds,
    sliceMs: wholeNumber('slice', options.slice) ?? plan.sliceMs,
  }
}

function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new Error(`--${option} is a whole number of 1 or more, not "${text}"`)
  return Number(text)
}

/** Prints the conditions of the measurement, which are needed to interpret the numbers. */
function printConditions(plan: Plan, old: Tree | undefined): void {
  if (old) say(`new: this tree; old: ${old.title}`)
  const load = (loadavg()[0] ?? 0).toFixed(1)
  say(
    `${availableParallelism()} × ${cpus()[0]?.model.trim()}, ${process.platform} ${process.arch}, Node ${process.version}, load average ${load} at the start`,
  )
  say(`${plan.launches} launches, each with ${plan.rounds} rounds of ${plan.sliceMs} ms`)
}

/** Standard output is for the result (with `--json`, only that), standard error for progress. */
function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function say(text: string): void {
  if (options.json) report(text)
  else print(text)
}

function report(text: string): void {
  process.stderr.write(`${text}\n`)
}

function fail(text: string): void {
  report(text)
  process.exitCode = 1
}
