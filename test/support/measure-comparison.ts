import { compare } from '../../src/incidents/evidence/comparison/compare'
import { CAUSES, plantTraffic, randomOf, type Cause } from './planted-traffic'

export interface Measured {
  /** Cases with 30 failures or more. */
  readonly cases: number
  /** Cases whose cause was named first; without a cause those in which one was claimed. */
  readonly named: number
  /** Cases in which another cause was named first. */
  readonly wrong: number
  /** One line for each case that was not as it should be. */
  readonly misses: readonly string[]
}

const LEAST_FAILED = 30

/** Runs the comparison over simulated traffic with a planted cause. */
export function measure(cause: Cause, cases: number, seed: number): Measured {
  let [counted, named, wrong] = [0, 0, 0]
  const misses: string[] = []
  for (let i = 0; counted < cases && i < cases * 20; i++) {
    const caseSeed = seed + CAUSES.indexOf(cause) * 1_000_003 + i
    const traffic = plantTraffic(cause, randomOf(caseSeed))
    if (traffic.failed < LEAST_FAILED) continue
    counted++
    const found = compare(traffic.family, traffic.replicas, { fromMs: traffic.lookFromMs })
    const [first] = found?.differences ?? []
    const names = first === undefined ? [] : [first, ...first.alsoKnownAs]
    const isNamed = traffic.planted.some(([dimension, value]) =>
      names.some(name => name.dimension === dimension && name.value === value),
    )
    const isFalse = first !== undefined && !isNamed
    if (cause === 'none' ? isFalse : isNamed) named++
    if (isFalse && cause !== 'none') wrong++
    if (cause === 'none' ? isFalse : !isNamed) {
      const said = names.map(({ dimension, value }) => `${dimension}=${value}`).join(' = ')
      misses.push(
        `seed ${caseSeed}: ${traffic.detail} · said: ${said === '' ? 'nothing' : said} p=${first?.pValue} shares ${first?.failingShare}/${first?.goodShare}`,
      )
    }
  }
  return { cases: counted, named, wrong, misses }
}

if (require.main === module) {
  const cases = Number(process.argv[2] ?? 1_000)
  const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31))
  process.stdout.write(`seed ${seed}\n`)
  const only = process.argv[4]
  for (const cause of CAUSES.filter(each => only === undefined || each === only)) {
    const startedAt = performance.now()
    const { named, wrong, misses, ...of } = measure(cause, cases, seed)
    const ms = (performance.now() - startedAt) / of.cases
    const what = cause === 'none' ? 'false claims' : 'named first'
    process.stdout.write(
      `${cause}: ${what} ${named} of ${of.cases} (${((named / of.cases) * 100).toFixed(2)} %), wrong ${wrong}, ${ms.toFixed(1)} ms each\n`,
    )
    if (process.env['VERBOSE']) process.stdout.write(misses.map(miss => `  ${miss}\n`).join(''))
  }
}
