import { processesAlive } from '../../tools/stack/managed-process'
import { stopUpstreams } from './start-upstream'
import { removeTemporaryFolders } from './temporary-folder'

// Mocha lifts it altogether, and the stack of an endless recursion then takes many seconds to be described.
Error.stackTraceLimit = 50

// Stack traces name the sources. Here and not as an option of mocha's: for that it would start a second process.
process.setSourceMapsEnabled(true)

// Started by test/run.ts, which is gone: nobody waits for the result, and what the tests started has to end.
process.once('disconnect', () => process.exit(1))

/** Mocha's root hooks: whatever a failed test left running ends here, so that it can neither linger nor keep mocha alive. */
export const mochaHooks = {
  async afterAll(): Promise<void> {
    await Promise.all(processesAlive().map(async child => child.kill()))
    await stopUpstreams()
    removeTemporaryFolders()
  },
}
