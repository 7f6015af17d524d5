import { availableParallelism, cpus, loadavg } from 'node:os'
import type { Measured, Slice } from './measure.ts'
import { ratios, spreadOfLaunches, type Spread } from './statistics.ts'
import { BARE, BEFORE, OFF } from './subjects.ts'

/** What is said about one row; ratios are taken round by round. */
export interface Row {
  readonly name: string
  readonly label: string
  readonly cpuMicrosPerRequest: Spread
  readonly timesBare: Spread | undefined
  readonly timesOff: Spread | undefined
  /** The same row of the tree given with `--before`. */
  readonly timesBefore: Spread | undefined
  readonly target: string
  readonly requestsPerSecond: Spread
  /** Resident memory of its process after the last round. */
  readonly rssBytes: number
  /** Spans that arrived over OTLP per request answered; undefined for a process that sends none. */
  readonly spansPerRequest: number | undefined
  /** One per round of each launch, in order. */
  readonly launches: readonly (readonly Slice[])[]
}

/**
 * @param answered requests answered by each process, warm-ups included
 * @param spans spans that arrived from each process
 */
export function summarise(
  all: readonly Measured[],
  answered: ReadonlyMap<string, number>,
  spans: Readonly<Record<string, number>>,
): Row[] {
  const costs = new Map(all.map(measured => [measured.subject.name, valuesOf(measured, cost)]))
  return all.map(measured => {
    const { name, label, process, target, isGateway } = measured.subject
    const own = valuesOf(measured, cost)
    const times = (reference: string): Spread | undefined => {
      const references = reference === name ? undefined : costs.get(reference)
      return references && spreadOfLaunches(ratios(own, references))
    }
    const sent = spans[process.name]
    return {
      name,
      label,
      cpuMicrosPerRequest: spreadOfLaunches(own),
      timesBare: times(BARE),
      timesOff: isGateway ? times(OFF) : undefined,
      timesBefore: times(name + BEFORE),
      target,
      requestsPerSecond: spreadOfLaunches(valuesOf(measured, slice => slice.requestsPerSecond)),
      rssBytes: measured.launches.at(-1)?.at(-1)?.rssBytes ?? 0,
      spansPerRequest: sent === undefined ? undefined : sent / (answered.get(process.name) ?? 0),
      launches: measured.launches,
    }
  })
}

function valuesOf({ launches }: Measured, value: (slice: Slice) => number): number[][] {
  return launches.map(slices => slices.map(value))
}

function cost({ cpuMicrosPerRequest }: Slice): number {
  return cpuMicrosPerRequest
}

/** Where it was measured: without it the numbers mean little. */
export interface Machine {
  readonly cpu: string
  readonly cpus: number
  readonly platform: string
  readonly node: string
  /** Of the last minute. */
  readonly loadAverage: number
}

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cpus: availableParallelism(),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    loadAverage: loadavg()[0] ?? 0,
  }
}
