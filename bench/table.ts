import type { Row } from './result.ts'
import type { Spread } from './statistics.ts'

const MB = 1024 * 1024

/** The rows as a Markdown table: what is printed is what `docs/performance.md` holds. */
export function formatTable(rows: readonly Row[]): string {
  const hasBefore = rows.some(row => row.timesBefore !== undefined)
  const header = ['', 'CPU µs', '× forwarder', '× telemetry off', 'to reach', 'requests/s', 'RSS MB', 'spans sent']
  if (hasBefore) header.splice(4, 1, '× before')
  const lines = rows.map(row => [
    row.label,
    row.cpuMicrosPerRequest.median.toFixed(1),
    formatRatio(row.timesBare),
    formatRatio(row.timesOff),
    hasBefore ? formatRatio(row.timesBefore) : row.target,
    row.requestsPerSecond.median.toFixed(0),
    (row.rssBytes / MB).toFixed(0),
    row.spansPerRequest === undefined ? '' : row.spansPerRequest.toFixed(2),
  ])
  return align([header, ...lines])
}

function formatRatio(ratio: Spread | undefined): string {
  if (ratio === undefined) return ''
  return `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)})`
}

function align(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map(line => line[column]?.length ?? 0)))
  const text = lines.map(line => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`)
  text.splice(1, 0, `| ${widths.map(width => '-'.repeat(width)).join(' | ')} |`)
  return text.join('\n')
}
