import { BinaryMissing } from '../../tools/stack/binaries'
import { findCollector } from '../../tools/stack/collector'
import { BUILD_TIMEOUT_MS } from '../../tools/stack/go-build'

/**
 * For a suite that needs our Collector: `before(needsCollector())`. Where it cannot be had, or built, the suite is pending
 * and says why; with `CI=true` it fails instead.
 */
export function needsCollector(): Mocha.AsyncFunc {
  return async function findOrBuild(this: Mocha.Context): Promise<void> {
    // The first one may have to build it when mocha was started directly.
    this.timeout(BUILD_TIMEOUT_MS)
    try {
      await findCollector()
    } catch (error) {
      if (!(error instanceof BinaryMissing) || process.env['CI'] === 'true') throw error
      process.stderr.write(`${error.message}\n`)
      this.skip()
    }
  }
}
