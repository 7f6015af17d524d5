import { BinaryMissing, findBinary, findOlderTool, type BinaryName } from '../../tools/stack/binaries'
import { BUILD_TIMEOUT_MS } from '../../tools/stack/go-build'

/** Programs already reported as missing in this run. */
const reported = new Set<string>()

/**
 * For a suite that needs programs which are not ours: `before(needs('redis-server'))`. Where one cannot be had, the suite is
 * pending and says why; with `CI=true` it fails instead.
 */
export function needs(...names: readonly BinaryName[]): Mocha.AsyncFunc {
  return needsAll(names.map(name => async () => findBinary(name)))
}

/** The same for a tool of the Debian release that is older than the one of the stack. */
export function needsOlder(name: 'promtool' | 'amtool'): Mocha.AsyncFunc {
  return needsAll([async () => findOlderTool(name)])
}

/** The same for a program with a finder of its own. */
export function needsFound(find: () => Promise<unknown>): Mocha.AsyncFunc {
  return needsAll([find])
}

function needsAll(finders: readonly (() => Promise<unknown>)[]): Mocha.AsyncFunc {
  return async function findBinaries(this: Mocha.Context): Promise<void> {
    // The first one may have to be built or fetched: by tests that are named one by one, or when mocha was started directly.
    this.timeout(BUILD_TIMEOUT_MS)
    for (const find of finders) {
      try {
        await find()
      } catch (error) {
        if (!(error instanceof BinaryMissing) || process.env['CI'] === 'true') throw error
        if (!reported.has(error.message)) process.stderr.write(`${error.message}\n`)
        reported.add(error.message)
        this.skip()
      }
    }
  }
}
