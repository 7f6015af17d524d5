import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

/** `npm run soak -- [--minutes N]`: outage drills with mixed traffic, and whether memory stays flat. */

const DEFAULT_MINUTES = '20'
const { values } = parseArgs({ options: { minutes: { type: 'string', default: DEFAULT_MINUTES } } })
const minutes = Number(values.minutes)
if (!(minutes >= 1)) {
  process.stderr.write(`--minutes ${values.minutes}: a number, at least 1\n`)
  process.exit(2)
}

// Compiled, this file is dist/test/soak/main.js.
const run = spawn(process.execPath, [resolve(__dirname, '../run.js'), 'test/soak/outage-drills.ts'], {
  env: { ...process.env, SOAK_MINUTES: String(minutes) },
  stdio: 'inherit',
})
// Ctrl-C reaches the run by itself.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => run.kill('SIGTERM'))
run.once('close', code => (process.exitCode = code ?? 1))
