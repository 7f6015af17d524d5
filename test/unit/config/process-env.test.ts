import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { processEnv } from '../../../src/config/env'

const SOURCES = join(__dirname, '../../../..', 'src')

/** Who else may touch it, and why: none of them reads a setting. */
const EXCEPTIONS = [
  // Sets the service name of its own process before the telemetry that reads it is loaded.
  join('incidents', 'preload.ts'),
  // Finds programs on the PATH and hands the environment on to them.
  `stack${sep}`,
]

describe('the environment of the process', () => {
  it('is read in src/config/env.ts alone', () => {
    const readers = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
      .filter(file => file.endsWith('.ts') && !EXCEPTIONS.some(exception => file.startsWith(exception)))
      .filter(file => /process\s*\.\s*env\b|process\[['"]env/.test(readFileSync(join(SOURCES, file), 'utf8')))
    assert.deepEqual(readers, [join('config', 'env.ts')])
  })

  it('is handed out as a copy', () => {
    const name = 'GATEWAY_TEST_COPY'
    const env = processEnv()
    process.env[name] = 'set later'
    assert.equal(env[name], undefined)
    assert.equal(processEnv()[name], 'set later')
    delete process.env[name]
  })
})
