import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { median } from './statistics.ts'

/**
 * What an empty policy of one's own costs by itself: the guard, the context and the calls of its hooks, without a request.
 * Processor time of this process, so that other programs do not count: `node bench/policy-cost.ts`, after a build.
 */

const { values } = parseArgs({
  options: { exchanges: { type: 'string', default: '300000' }, rounds: { type: 'string', default: '15' } },
})
const EXCHANGES = Number(values.exchanges)
const ROUNDS = Number(values.rounds)

interface Hooks {
  readonly onRequest?: (exchange: object) => unknown
  readonly onAttempt?: (exchange: object, attempt: object) => unknown
  readonly onResponse?: (exchange: object, head: object) => unknown
  readonly onEnd?: (exchange: object) => unknown
}

const load = createRequire(import.meta.url)
const { guardedHooks } = load('../dist/src/policies/own/guarded-hooks.js') as {
  readonly guardedHooks: (policy: object, config: unknown, parts: object) => Hooks
}

const nothing = (): void => {}
const ATTEMPT = { number: 1, fields: [] }
const HEAD = { fields: [] }
const SUBJECTS: Readonly<Record<string, object>> = {
  onRequest: { onRequest: nothing },
  'onRequest, which waits': { onRequest: async () => undefined },
  onEnd: { onEnd: nothing },
  'onRequest, onAttempt, onResponse and onEnd': {
    onRequest: nothing,
    onAttempt: nothing,
    onResponse: nothing,
    onEnd: nothing,
  },
}

function hooksOf(phases: object): Hooks {
  const policy = { name: 'bench-empty', create: () => phases }
  return guardedHooks(policy, undefined, { log: { error: nothing, warn: nothing }, route: 'bench' })
}

/** Nanoseconds of processor time per exchange. Each exchange is an object of its own, as in the gateway. */
async function measure({ onRequest, onAttempt, onResponse, onEnd }: Hooks): Promise<number> {
  const before = process.cpuUsage()
  for (let i = 0; i < EXCHANGES; i++) {
    const exchange = { request: { headers: {} }, path: '/', outcome: 'ok' }
    const result = onRequest?.(exchange)
    if (result instanceof Promise) await result
    onAttempt?.(exchange, ATTEMPT)
    onResponse?.(exchange, HEAD)
    onEnd?.(exchange)
  }
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1_000) / EXCHANGES
}

const all = [['', {}] as const, ...Object.entries(SUBJECTS)].map(([name, phases]) => ({
  name,
  hooks: name === '' ? {} : hooksOf(phases),
  costs: [] as number[],
}))
// In turns, so that a slow minute of the machine is one of all of them. The first two rounds compile.
for (let round = -2; round < ROUNDS; round++) {
  for (const { hooks, costs } of all) {
    const cost = await measure(hooks)
    if (round >= 0) costs.push(cost)
  }
}
const [none, ...subjects] = all
const base = median(none?.costs ?? [])
for (const { name, costs } of subjects) {
  const sorted = costs.map(cost => cost - base).sort((a, b) => a - b)
  const [low = 0, high = 0] = [sorted[Math.floor(sorted.length / 4)], sorted[Math.floor((sorted.length * 3) / 4)]]
  process.stdout.write(
    `${name.padEnd(44)} ${median(sorted).toFixed(0).padStart(6)} ns (${low.toFixed(0)} to ${high.toFixed(0)})\n`,
  )
}
// The thread that watches hooks would keep the process.
process.exit()
