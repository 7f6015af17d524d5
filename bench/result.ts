import { availableParallelism, cpus, loadavg } from 'node:os'
import type { Measurable, Measured, Slice } from './measure.ts'
import { ratios, spread, type Spread } from './statistics.ts'
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
  /** One per round, in order. */
  readonly slices: readonly Slice[]
}

export function summarise(
  all: readonly Measured[],
  running: ReadonlyMap<string, Measurable>,
  spans: Readonly<Record<string, number>>,
): Row[] {
  const costs = new Map(all.map(({ subject, slices }) => [subject.name, slices.map(cost)]))
  return all.map(({ subject, slices }) => {
    const { name, label } = subject
    const own = slices.map(cost)
    const times = (reference: string): Spread | undefined => {
      const references = reference === name ? undefined : costs.get(reference)
      return references && ratios(own, references)
    }
    const { answered } = running.get(subject.process.name) as Measurable
    const sent = spans[subject.process.name]
    return {
      name,
      label,
      cpuMicrosPerRequest: spread(own),
      timesBare: times(BARE),
      timesOff: subject.isGateway ? times(OFF) : undefined,
      timesBefore: times(name + BEFORE),
      target: subject.target,
      requestsPerSecond: spread(slices.map(slice => slice.requestsPerSecond)),
      rssBytes: slices.at(-1)?.rssBytes ?? 0,
      spansPerRequest: sent === undefined ? undefined : sent / answered,
      slices,
    }
  })
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
