import { join } from 'node:path'
import { isAlive } from '../../../support/process-status'
import { startProcess } from '../../../support/start-process'
import { until } from '../../../support/until'

const STACK = join(__dirname, '../../../../tools/stack')

/** Starts a process that never ends under a guard, says its id, and never ends itself. */
const PROGRAM = `
  const { startGuard } = require(${JSON.stringify(join(STACK, 'guard.js'))})
  const { ManagedProcess } = require(${JSON.stringify(join(STACK, 'managed-process.js'))})
  const child = new ManagedProcess({ name: 'child', path: process.execPath, args: ['-e', 'setInterval(() => {}, 1000)'] })
  startGuard().watch(child)
  console.log('child ' + child.pid)
  setInterval(() => {}, 1000)
`

describe('the guard', () => {
  it('ends what a killed process has started', async () => {
    const parent = startProcess({ name: 'parent', path: process.execPath, args: ['-e', PROGRAM] })
    const child = Number((await parent.waitForLine('the child', line => line.startsWith('child '))).slice(6))
    await parent.kill()
    await until(() => !isAlive(child), { what: 'the child has ended' })
  })
})
