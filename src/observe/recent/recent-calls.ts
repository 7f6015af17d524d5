import type { Outcome } from '../../errors/reasons'
import { newTable, noteIn, recentIn, type RecentTraffic, type TrafficTable } from './traffic-table'

/** Records the calls to one target in the last quarter of an hour, 16.2 KiB from the first call on. */
export class RecentCalls {
  readonly #startedAt = performance.now()
  #table: TrafficTable | undefined

  /**
   * @param now on the monotonic clock
   * @param durationMs undefined if the duration is no latency, as that of a stream
   */
  note(now: number, outcome: Outcome, durationMs: number | undefined): void {
    noteIn((this.#table ??= newTable()), now, outcome, durationMs)
  }

  recent(): RecentTraffic {
    return recentIn(this.#table === undefined ? [] : [this.#table], performance.now(), this.#startedAt)
  }
}
