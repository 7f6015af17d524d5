import type { Slice } from './measure.ts'
import type { Batch, Row } from './rows.ts'
import { meanRatio, median, ratios, spread, spreadOfLaunches, type Interval, type Spread } from './statistics.ts'

/** The result of one row. */
export interface Result {
  readonly name: string
  readonly label: string
  readonly goal: string
  readonly cpuMicros: Spread
  readonly timesReference: Spread
  /** Relative to the batch's base row. */
  readonly timesBase: Spread | undefined
  /** New tree relative to the old tree, with `--against`. */
  readonly timesOld: { readonly spread: Spread; readonly interval: Interval | undefined } | undefined
  readonly requestsPerSecond: number
  readonly rssBytes: number
  /** Spans received over OTLP: dropped spans cost less than sent ones. Undefined for a process that sends none. */
  readonly spansPerRequest: number | undefined
}

export type Measured = ReadonlyMap<Row, readonly (readonly Slice[])[]>

const MB = 1024 * 1024

/** @param spansPerRequest by process name */
export function resultsOf(batch: Batch, measured: Measured, spansPerRequest: ReadonlyMap<string, number>): Result[] {
  const valuesOf = (name: string | undefined): readonly (readonly number[])[] | undefined => {
    const found = [...measured].find(([row]) => row.name === name)
    return found?.[1].map(slices => slices.map(slice => slice.timesReference))
  }
  const base = valuesOf(batch.base)
  return [...measured].map(([row, launches]): Result => {
    const own = valuesOf(row.name) as readonly (readonly number[])[]
    const old = valuesOf([...measured.keys()].find(({ oldOf }) => oldOf === row.name)?.name)
    const timesOld = old && ratios(own, old)
    const isOverBase = row.isGateway && row.name !== batch.base && row.oldOf === undefined
    const slices = launches.flat()
    return {
      name: row.name,
      label: row.label,
      goal: row.goal ?? '',
      cpuMicros: spread(launches.map(rounds => median(rounds.map(slice => slice.cpuMicros)))),
      timesReference: spreadOfLaunches(own),
      timesBase: isOverBase && base ? spreadOfLaunches(ratios(own, base)) : undefined,
      timesOld: timesOld && { spread: spreadOfLaunches(timesOld), interval: meanRatio(timesOld.map(median)) },
      requestsPerSecond: median(slices.map(slice => slice.requestsPerSecond)),
      rssBytes: Math.max(...slices.map(slice => slice.rssBytes)),
      spansPerRequest: spansPerRequest.get(row.process.name),
    }
  })
}

/** How much other programs used the core: the more, the less reliable the ratios. */
export function sharedCore(measured: Measured): string {
  const share = median([...measured.values()].flat(2).map(({ waitedShare }) => waitedShare))
  return `Other programs had the core for ${(share * 100).toFixed(0)} % of the time in which a measured process could have run`
}

/** Formats the rows as a Markdown table; `docs/performance.md` contains such tables. */
export function costTable(batch: Batch, results: readonly Result[]): string {
  const hasOld = results.some(({ timesOld }) => timesOld !== undefined)
  const hasBase = results.some(({ timesBase }) => timesBase !== undefined)
  const baseLabel = results.find(({ name }) => name === batch.base)?.label ?? ''
  const line = (
    label: string,
    reference: string,
    base: string,
    old: readonly string[],
    others: readonly string[],
  ): string[] => [label, reference, ...(hasBase ? [base] : []), ...(hasOld ? old : []), ...others]
  const header = line(
    '',
    '÷ forwarder',
    `÷ ${baseLabel}`,
    ['new ÷ old', '95 %'],
    ['CPU µs', 'requests/s', 'RSS MB', 'spans sent', 'goal'],
  )
  const lines = results.map(result =>
    line(
      result.label,
      formatSpread(result.timesReference),
      result.timesBase ? formatSpread(result.timesBase) : '',
      result.timesOld ? [formatSpread(result.timesOld.spread, 3), formatInterval(result.timesOld.interval)] : ['', ''],
      [
        result.cpuMicros.median.toFixed(0),
        result.requestsPerSecond.toFixed(0),
        (result.rssBytes / MB).toFixed(0),
        result.spansPerRequest?.toFixed(2) ?? '',
        result.goal,
      ],
    ),
  )
  return markdownTable([header, ...lines])
}

export function formatSpread({ median, min, max }: Spread, digits = 2): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`
}

export function formatInterval(interval: Interval | undefined): string {
  return interval ? `${interval.low.toFixed(3)} to ${interval.high.toFixed(3)}` : 'needs two launches'
}

/** @param lines the first line is the header */
export function markdownTable(lines: readonly (readonly string[])[]): string {
  const used = (lines[0] ?? [])
    .map((_, column) => column)
    .filter(column => column === 0 || lines.slice(1).some(line => line[column] !== ''))
  const widths = used.map(column => Math.max(...lines.map(line => line[column]?.length ?? 0)))
  const text = lines.map(
    line => `| ${used.map((column, i) => (line[column] ?? '').padEnd(widths[i] ?? 0)).join(' | ')} |`,
  )
  text.splice(1, 0, `| ${widths.map(width => '-'.repeat(width)).join(' | ')} |`)
  return text.join('\n')
}
