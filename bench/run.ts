import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { measureLaunch, start, type Measurable, type Measured, type Plan, type Slice } from './measure.ts'
import { helper, stopAll, type Program } from './processes.ts'
import { machine, summarise, type Machine, type Row } from './result.ts'
import { asBefore, subjects, type ProcessSpec, type Subject, type Surroundings } from './subjects.ts'
import { formatTable } from './table.ts'

const USAGE = `npm run bench -- [options]

  --quick          one launch with short rounds: less than a minute, wider spread
  --json           everything that was measured, as JSON
  --only a,b       these rows only
  --launches N     how often every process is started afresh
  --rounds N       how often each row is measured in each launch
  --slice MS       how long each time
  --before DIR     every gateway row also from this built tree, and the ratio to it
  --profile DIR    write a CPU profile of each gateway there (its numbers then include the profiler)
`
const FULL: Plan = {
  connections: 32,
  launches: 3,
  rounds: 6,
  firstRequests: 30_000,
  warmUpRequests: 320,
  sliceMs: 500,
}
const QUICK: Plan = { ...FULL, launches: 1, rounds: 7, firstRequests: 2_000, sliceMs: 300 }
const ROOT = resolve(import.meta.dirname, '..')

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    launches: { type: 'string' },
    rounds: { type: 'string' },
    slice: { type: 'string' },
    before: { type: 'string' },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (options.help) process.stdout.write(USAGE)
else await bench()

async function bench(): Promise<void> {
  const plan = planFromOptions()
  const where = machine() // before our own load is part of it
  try {
    const [upstream, sink, load] = [helper('upstream'), helper('otlp-sink'), helper('load')]
    const rows = chosenSubjects({ tree: ROOT, upstreamUrl: await urlOf(upstream), sinkUrl: await urlOf(sink) })
    const slices = new Map<Subject, (readonly Slice[])[]>(rows.map(subject => [subject, []]))
    const answered = new Map<string, number>()
    for (let launch = 1; launch <= plan.launches; launch++) {
      report(`launch ${launch} of ${plan.launches}`)
      const running = await startAll(rows)
      for (const [subject, ofLaunch] of await measureLaunch(rows, running, load, plan, report)) {
        slices.get(subject)?.push(ofLaunch)
      }
      // The last batches of spans leave when the gateways end.
      await Promise.all([...running.values()].map(async ({ program }) => program.stop()))
      for (const [name, measurable] of running) answered.set(name, (answered.get(name) ?? 0) + measurable.answered)
    }
    const { spans } = await sink.ask<{ spans: Record<string, number> }>('spans', 'spans')
    const measured = [...slices].map(([subject, launches]): Measured => ({ subject, launches }))
    print(where, plan, summarise(measured, answered, spans))
  } finally {
    await stopAll()
  }
}

/** Rows may share a process. */
async function startAll(rows: readonly Subject[]): Promise<Map<string, Measurable>> {
  const running = new Map<string, Measurable>()
  for (const { process: spec } of rows) {
    if (!running.has(spec.name)) running.set(spec.name, await start(withProfile(spec)))
  }
  return running
}

function planFromOptions(): Plan {
  const plan = options.quick ? QUICK : FULL
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

async function urlOf(program: Program): Promise<string> {
  const { port } = await program.ask<{ port: number }>('listening')
  return `http://127.0.0.1:${port}`
}

function chosenSubjects(surroundings: Surroundings): Subject[] {
  const all = subjects(surroundings)
  const names = options.only?.split(',') ?? all.map(subject => subject.name)
  const chosen = names.map(name => {
    const found = all.find(subject => subject.name === name)
    if (!found) throw new Error(`no row "${name}"; there are ${all.map(subject => subject.name).join(', ')}`)
    return found
  })
  if (options.before === undefined) return chosen
  const before = subjects({ ...surroundings, tree: resolve(options.before) })
  return chosen.flatMap(subject => {
    const twin = before.find(({ name, isGateway }) => isGateway && name === subject.name)
    return twin ? [asBefore(twin), subject] : [subject]
  })
}

function withProfile(spec: ProcessSpec): ProcessSpec {
  if (options.profile === undefined) return spec
  return { ...spec, args: ['--cpu-prof', '--cpu-prof-dir', join(resolve(options.profile), spec.name), ...spec.args] }
}

/** Standard output is for the result. */
function report(text: string): void {
  process.stderr.write(`${text}\n`)
}

function print(where: Machine, plan: Plan, rows: readonly Row[]): void {
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ machine: where, plan, rows }, undefined, 2)}\n`)
    return
  }
  const { cpu, cpus, platform, node, loadAverage } = where
  process.stdout.write(
    `${cpus} × ${cpu}, ${platform}, Node ${node}, load average ${loadAverage.toFixed(1)} at the start\n` +
      `${plan.launches} launches, each with ${plan.rounds} rounds of ${plan.sliceMs} ms, ${plan.connections} connections\n\n${formatTable(rows)}\n`,
  )
}
