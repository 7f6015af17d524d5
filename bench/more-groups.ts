import { setTimeout as wait } from 'node:timers/promises'
import type { Cores } from './cores.ts'
import { FULL_1, offAndFull, references } from './groups.ts'
import { driveOne, type Plan } from './measure.ts'
import { findPeers, type PeerOptions } from './peers/find.ts'
import { treeUsage } from './process-tree.ts'
import { WATCH_LOOP, helper, start, type Listening, type ProcessSpec, type Program } from './processes.ts'
import type { Latencies, OpenLoop } from './programs/open-loop.ts'
import { USUAL, type Row } from './rows.ts'
import { shuffled } from './shuffled.ts'
import { median, spread, type Spread } from './statistics.ts'
import { gateway, type Surroundings } from './subjects.ts'
import { markdownTable } from './table.ts'
import type { Tree } from './trees.ts'

/** The resources that these groups need. */
export interface Bench {
  readonly tree: Tree
  readonly surroundings: Surroundings
  readonly peers: PeerOptions
  readonly cores: Cores | undefined
  readonly load: Program
  readonly plan: Plan
}

/** Groups that measure something other than CPU per request; each prints its own table. */
export const MORE_GROUPS: Readonly<
  Record<string, { readonly title: string; readonly run: (bench: Bench) => Promise<string> }>
> = {
  latency: {
    title: 'latency at a fixed rate of 1,500 requests per second, and pauses of the event loop',
    run: latency,
  },
  scrape: { title: 'latency while 10,000 series are scraped every second, and without', run: scrape },
  start: { title: 'start-up until listening, and resident memory', run: startUp },
}

const PER_SECOND = 1_500
const SECONDS = 15
/** The first second is not counted. */
const SETTLE_MS = 1_000
/** Each route has about 20 series for one method and one status. */
const SCRAPED_ROUTES = 600
const SCRAPE_EVERY_MS = 1_000
const IDLE_MS = 3_000
const UNDER_LOAD_MS = 5_000

interface Run extends Latencies {
  /** Undefined for programs that are not Node. */
  readonly pause: number | undefined
}

async function latency({ tree, surroundings, peers, cores, load, plan }: Bench): Promise<string> {
  const { plain } = await findPeers(surroundings, { ...peers, sources: peers.sources ?? ['debian'] })
  const rows = [references(surroundings).reference, ...offAndFull(tree, surroundings), ...plain]
  const runs = new Map<Row, Run[]>(rows.map(row => [row, []]))
  const clients = await start(helper('open-loop'), cores?.others)
  for (let launch = 1; launch <= plan.launches; launch++) {
    for (const row of shuffled(rows)) {
      const target = await startWarm(row.process, USUAL.path, { cores, load, plan })
      runs.get(row)?.push(await openLoop(clients.program, target, [USUAL.path]))
      await target.program.stop()
    }
    process.stderr.write(`latency: launch ${launch} of ${plan.launches}\n`)
  }
  const lines = [...runs].map(([row, own]) => [
    row.label,
    milliseconds(own.map(run => run.p50)),
    milliseconds(own.map(run => run.p99)),
    milliseconds(own.map(run => run.p999)),
    own.some(run => run.pause === undefined) ? '' : milliseconds(own.map(run => run.pause ?? NaN)),
    milliseconds(own.map(run => run.lateness)),
  ])
  const header = ['', 'p50 ms', 'p99 ms', 'p99.9 ms', 'longest pause ms', 'p99 of how late the clients sent']
  return `Open loop, ${PER_SECOND} requests per second for ${SECONDS} s, from the second second on\n\n${markdownTable([header, ...lines])}`
}

async function scrape({ tree, surroundings, cores, load, plan }: Bench): Promise<string> {
  const names = Array.from({ length: SCRAPED_ROUTES }, (_, index) => `/service-${index}`)
  const routes = names.map((path, index) => ({ name: `route-${index}`, match: { path }, upstream: 'bench' }))
  const configuration = { upstreams: { bench: { targets: [surroundings.upstreamUrl] } }, routes }
  const spec = gateway('scraped', FULL_1, tree, surroundings, configuration)
  const clients = await start(helper('open-loop'), cores?.others)
  const [without, scraped]: [Run[], Run[]] = [[], []]
  const [durations, series]: [number[], number[]] = [[], []]
  for (let launch = 1; launch <= plan.launches; launch++) {
    const target = await startWarm(spec, '/service-0', { cores, load, plan })
    const url = `http://127.0.0.1:${target.opsPort}/metrics`
    // Creates all series before anything is compared.
    await openLoop(clients.program, target, names, 3)
    without.push(await openLoop(clients.program, target, names))
    const stop = new AbortController()
    const scraping = scrapeAgainAndAgain(url, stop.signal, durations, series)
    scraped.push(await openLoop(clients.program, target, names))
    stop.abort()
    await scraping
    await target.program.stop()
    process.stderr.write(`scrape: launch ${launch} of ${plan.launches}\n`)
  }
  const line = (label: string, runs: readonly Run[]): string[] => [
    label,
    milliseconds(runs.map(run => run.p50)),
    milliseconds(runs.map(run => run.p99)),
    milliseconds(runs.map(run => run.pause ?? NaN)),
  ]
  const times = spread(scraped.map((run, launch) => run.p99 / (without[launch] as Run).p99))
  return `Scraped every second: ${median(series)} series, ${median(durations).toFixed(0)} ms for a scrape

${markdownTable([['', 'p50 ms', 'p99 ms', 'longest pause ms'], line('not scraped', without), line('scraped', scraped)])}

p99 while scraped ÷ without: ${times.median.toFixed(2)} (${times.min.toFixed(2)} to ${times.max.toFixed(2)})`
}

/** Scrapes until the signal; at most one scrape is in flight. */
async function scrapeAgainAndAgain(
  url: string,
  stop: AbortSignal,
  durations: number[],
  series: number[],
): Promise<void> {
  while (!stop.aborted) {
    const startedAt = performance.now()
    const text = await (await fetch(url)).text()
    durations.push(performance.now() - startedAt)
    series.push(text.split('\n').filter(line => line !== '' && !line.startsWith('#')).length)
    await wait(Math.max(SCRAPE_EVERY_MS - (performance.now() - startedAt), 0))
  }
}

async function startUp({ tree, surroundings, cores, load, plan }: Bench): Promise<string> {
  const rows = [references(surroundings).reference, ...offAndFull(tree, surroundings)]
  const measured = rows.map(row => ({ row, startUp: [] as number[], idle: [] as number[], busy: [] as number[] }))
  for (let launch = 1; launch <= plan.launches; launch++) {
    for (const { row, startUp, idle, busy } of shuffled(measured)) {
      const target = await start(row.process, cores?.measured)
      startUp.push(target.program.startUpMs)
      await wait(IDLE_MS)
      idle.push(treeUsage(target.program.pid).rssBytes)
      const { rssBytes } = await driveOne(
        target,
        { ...USUAL, port: target.port },
        load,
        plan.firstRequests,
        UNDER_LOAD_MS,
      )
      busy.push(rssBytes)
      await target.program.stop()
    }
    process.stderr.write(`start: launch ${launch} of ${plan.launches}\n`)
  }
  const lines = measured.map(({ row, startUp, idle, busy }) => [
    row.label,
    milliseconds(startUp, 0),
    megabytes(spread(idle)),
    megabytes(spread(busy)),
  ])
  return `Start-up and memory\n\n${markdownTable([['', 'listening after ms', 'RSS MB idle', 'RSS MB under load'], ...lines])}`
}

/** Starts a program and warms it up, so that its code is compiled before the measurement. */
async function startWarm(
  spec: ProcessSpec,
  path: string,
  { cores, load, plan }: Pick<Bench, 'cores' | 'load' | 'plan'>,
): Promise<Listening> {
  const watched = spec.port === undefined ? { ...spec, args: [...WATCH_LOOP, ...spec.args] } : spec
  const target = await start(watched, cores?.measured)
  await driveOne(target, { ...USUAL, path, port: target.port }, load, plan.firstRequests, 1)
  return target
}

async function openLoop(
  clients: Program,
  { program, port }: Listening,
  paths: readonly string[],
  seconds = SECONDS,
): Promise<Run> {
  const command: OpenLoop = { port, paths, perSecond: PER_SECOND, connections: 128, seconds }
  const answer = clients.ask<Latencies>('latencies', command, (seconds + 30) * 1_000)
  const longestPause = async (): Promise<number | undefined> => {
    if (!program.hasChannel) return undefined
    return (await program.ask<{ milliseconds: number }>('longest pause', 'longest pause')).milliseconds
  }
  // The answer is awaited below; without this handler, a failure in between would end the bench without its message.
  answer.catch(() => {})
  await wait(SETTLE_MS)
  await longestPause()
  const latencies = await answer
  if (latencies.failure !== undefined) throw new Error(`${program.name}: ${latencies.failure}`)
  return { ...latencies, pause: await longestPause() }
}

function milliseconds(values: readonly number[], digits = 1): string {
  const { median, min, max } = spread(values)
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`
}

function megabytes({ median, min, max }: Spread): string {
  return [median, min, max]
    .map(bytes => (bytes / 1024 ** 2).toFixed(0))
    .join(' ')
    .replace(/ (\d+) (\d+)$/, ' ($1 to $2)')
}
