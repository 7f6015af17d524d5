import Mocha from 'mocha'

/** What `test/run.ts` is told when mocha is done. */
export interface Summary {
  readonly event: 'summary'
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Titles of those that passed, but not at once. */
  readonly unsteady: readonly string[]
}

/** Mocha's own spec output; the numbers also go to `test/run.ts`, which started mocha with a channel for messages. */
class SummaryReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options)
    const unsteady: string[] = []
    runner.on('retry', (test, error: Error) => unsteady.push(`${test.fullTitle()}: ${error.message.split('\n')[0]}`))
    runner.once('end', () => {
      const { passes, failures, pending } = this.stats
      const summary: Summary = { event: 'summary', passed: passes, failed: failures, skipped: pending, unsteady }
      process.send?.(summary, undefined, undefined, () => process.channel?.unref())
    })
  }
}

// Mocha loads a reporter with require and expects the class itself.
module.exports = SummaryReporter
