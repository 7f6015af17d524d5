import { Random } from './random'

/** How `npm run fuzz` passes its options to the tests; without them a run is short and always the same. */
export const SECONDS_VARIABLE = 'FUZZ_SECONDS'
export const SEED_VARIABLE = 'FUZZ_SEED'

const DEFAULT_SEED = 20_261_130
const seconds = process.env[SECONDS_VARIABLE]
export const SEED = Number(process.env[SEED_VARIABLE] ?? DEFAULT_SEED)

/** How long a fuzzing test may take: what was asked for, and time to shrink what was found. */
export const TIMEOUT_MS = seconds === undefined ? 120_000 : Number(seconds) * 1_000 + 120_000

/**
 * Calls `round` with the random numbers of each round: `rounds` times, or as long as `npm run fuzz` was told. One round's numbers
 * depend on the seed and its own number only.
 */
export async function fuzz(rounds: number, round: (random: Random, number: number) => Promise<void>): Promise<number> {
  const endsAt = seconds === undefined ? Infinity : performance.now() + Number(seconds) * 1_000
  const most = seconds === undefined ? rounds : Infinity
  let done = 0
  for (; done < most && performance.now() < endsAt; done++) await round(new Random(SEED + done * 7_919), done)
  return done
}
