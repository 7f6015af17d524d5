import { BinaryMissing, findBinary, type BinaryName } from '../../tools/stack/binaries'

/**
 * For a suite that needs programs which are not ours: `before(needs('redis-server'))`. Where one cannot be had, the suite is
 * pending and `npm test` says why at its end; with `CI=true` it fails instead.
 */
export function needs(...names: readonly BinaryName[]): Mocha.AsyncFunc {
  return async function findBinaries(this: Mocha.Context): Promise<void> {
    // The first one may have to be fetched when mocha was started directly.
    this.timeout(600_000)
    for (const name of names) {
      try {
        await findBinary(name)
      } catch (error) {
        if (!(error instanceof BinaryMissing) || process.env['CI'] === 'true') throw error
        this.skip()
      }
    }
  }
}
