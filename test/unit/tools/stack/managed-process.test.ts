import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ManagedProcess, processesAlive } from '../../../../tools/stack/managed-process'
import { temporaryFolder } from '../../../support/temporary-folder'

function node(script: string, options: { logFile?: string } = {}): ManagedProcess {
  return new ManagedProcess({ name: 'child', path: process.execPath, args: ['-e', script], ...options })
}

describe('a managed process', () => {
  it('keeps its output by line, to the last one', async () => {
    const child = node('console.log("one"); console.error("two"); process.stdout.write("three")')
    assert.deepEqual(await child.exited, { code: 0, signal: null })
    assert.deepEqual([...child.lines].sort(), ['one', 'three', 'two'])
  })

  it('writes its output to a file', async () => {
    const logFile = join(temporaryFolder(), 'child.log')
    await node('console.log("to the file")', { logFile }).exited
    assert.equal(readFileSync(logFile, 'utf8'), 'to the file\n')
  })

  it('waits for a line that is yet to come, and finds one that came', async () => {
    const child = node('setTimeout(() => console.log("ready"), 20)')
    const isReady = (line: string): boolean => line === 'ready'
    assert.equal(await child.waitForLine('readiness', isReady), 'ready')
    assert.equal(await child.waitForLine('readiness', isReady), 'ready')
    await child.exited
  })

  it('says what a process said that ended too early', async () => {
    const child = node('console.error("bad flag"); process.exit(3)')
    await assert.rejects(
      child.waitForLine('readiness', () => false),
      /^Error: child: ended before readiness \(exit code 3, signal null\)\n {2}bad flag$/,
    )
  })

  it('does not wait for a line without end', async () => {
    const child = node('setInterval(() => {}, 1000)')
    await assert.rejects(
      child.waitForLine('readiness', () => false, 50),
      /child: no readiness within 50 ms/,
    )
    await child.kill()
  })

  it('ends one that ignores SIGTERM', async () => {
    const child = node('process.on("SIGTERM", () => {}); console.log("ready"); setInterval(() => {}, 1000)')
    await child.waitForLine('readiness', line => line === 'ready')
    assert.deepEqual(await child.stop(50), { code: null, signal: 'SIGKILL' })
    assert.equal(processesAlive().includes(child), false)
  })

  it('reports a program that does not exist', async () => {
    const child = new ManagedProcess({ name: 'child', path: '/nonexistent/program', args: [] })
    assert.deepEqual(await child.exited, { code: null, signal: null })
    assert.match(child.lines.join('\n'), /ENOENT/)
    assert.deepEqual(await child.stop(), { code: null, signal: null })
  })
})
