import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { SECONDS_VARIABLE, SEED_VARIABLE } from './settings'

/**
 * `npm run fuzz -- [--seconds N] [--seed S] [--only bytes|responses|yaml]`: the fuzzers of `npm test` for longer and from another
 * seed. What fails is printed with a minimal input, and the exit code is 1.
 */

const FUZZERS = ['bytes', 'responses', 'yaml'] as const
const DEFAULT_SECONDS = '60'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: DEFAULT_SECONDS },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_007) },
    only: { type: 'string' },
  },
})
const { seconds, seed, only } = values
const isKnown = only === undefined || FUZZERS.some(name => name === only)
if (!(Number(seconds) >= 1) || !Number.isSafeInteger(Number(seed)) || !isKnown) {
  process.stderr.write(`npm run fuzz -- [--seconds N] [--seed S] [--only ${FUZZERS.join('|')}]\n`)
  process.exit(2)
}
process.stdout.write(`seed ${seed}, ${seconds} s for each fuzzer\n`)

const files = FUZZERS.filter(name => only === undefined || name === only).map(name => `test/fuzz/${name}.test.ts`)
// Compiled, this file is dist/test/fuzz/main.js.
const run = spawn(process.execPath, [resolve(__dirname, '../run.js'), ...files], {
  env: { ...process.env, [SECONDS_VARIABLE]: seconds, [SEED_VARIABLE]: seed },
  stdio: 'inherit',
})
// Ctrl-C reaches the run by itself.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => run.kill('SIGTERM'))
run.once('close', code => (process.exitCode = code ?? 1))
