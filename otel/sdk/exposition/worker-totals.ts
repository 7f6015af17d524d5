import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ResourceMetrics } from '@opentelemetry/sdk-metrics'
import type { ExemplarSource } from '../exemplars'
import { isTotal, MetricMerge } from './merge'
import { piecesOf, type MetricPiece } from './worker-metrics'

/** The answer of one worker to a request for its metrics; undefined where it did not answer in time. */
export interface WorkerAnswer {
  readonly worker: number
  readonly pieces: readonly MetricPiece[] | undefined
}

/** Reads the metrics of all workers that run. Never rejects, and is bounded in time. */
export type AskWorkers = () => Promise<readonly WorkerAnswer[]>

/** How long adding up may occupy the event loop: the primary accepts the connections of all workers. */
const SLICE_MS = 5

/**
 * The metrics of all workers as those of one process. Counters and histograms never fall: those of a worker that has ended,
 * or that does not answer, stay at the values that were last read.
 */
export class WorkerTotals {
  readonly #ask: AskWorkers
  /** By worker: what it last answered. */
  readonly #last = new Map<number, readonly MetricPiece[]>()
  /** Workers that have ended. */
  readonly #ended = new Set<number>()
  /** Sums of the workers that have ended. */
  #retired = new MetricMerge()

  constructor(ask: AskWorkers) {
    this.#ask = ask
  }

  /** Takes the last values of a worker that ends by itself. */
  keep(worker: number, pieces: readonly MetricPiece[]): void {
    this.#last.set(worker, pieces)
  }

  /** Tells that a worker has ended: its gauges are gone, its counters stay. */
  end(worker: number): void {
    const last = this.#last.get(worker) ?? []
    this.#last.delete(worker)
    this.#ended.add(worker)
    for (const piece of last) if (isTotal(piece)) this.#retired.add(piece, false)
  }

  async merge(own: ResourceMetrics, exemplars: ExemplarSource): Promise<ReturnType<MetricMerge['result']>> {
    const answers = await this.#ask()
    const live = new Map<readonly MetricPiece[], boolean>()
    for (const { worker, pieces } of answers) {
      // Ended while it was asked: it is part of the retired ones already.
      if (this.#ended.has(worker)) continue
      if (pieces !== undefined) this.#last.set(worker, pieces)
      const known = this.#last.get(worker)
      if (known !== undefined) live.set(known, pieces !== undefined)
    }
    this.#ended.clear()
    const merge = new MetricMerge()
    const pause = pauses()
    // Taken together, before the first pause: a worker that ends meanwhile must be in one of them only.
    const retired = [...this.#retired.totals()]
    for (const piece of piecesOf(own, exemplars)) merge.add(piece, true)
    for (const [pieces, hasAnswered] of live) {
      for (const piece of pieces) {
        if (hasAnswered || isTotal(piece)) merge.add(piece, false)
        await pause()
      }
    }
    for (const piece of retired) {
      merge.add(piece, false)
      await pause()
    }
    return merge.result(own.resource)
  }
}

function pauses(): () => Promise<void> | undefined {
  let sliceStart = performance.now()
  return () => {
    if (performance.now() - sliceStart < SLICE_MS) return undefined
    return nextTurn().then(() => {
      sliceStart = performance.now()
    })
  }
}
