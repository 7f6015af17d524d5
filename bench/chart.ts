import type { Result } from './table.ts'

const [WIDTH, LABEL_WIDTH, ROW_HEIGHT, MARGIN] = [760, 270, 26, 16]
/** Colors that are readable on a white and on a black page. */
const [TEXT, BAR, LINE] = ['#7d8590', '#2f81f7', '#7d8590']

/** Bars of the medians, each with a line from the lowest to the highest launch; a dashed line marks the forwarder. */
export function chart(results: readonly Result[]): string {
  const highest = Math.max(1, ...results.map(({ timesReference }) => timesReference.max))
  const space = WIDTH - LABEL_WIDTH - MARGIN - 50
  const x = (ratio: number): string => (LABEL_WIDTH + (ratio / highest) * space).toFixed(1)
  const height = results.length * ROW_HEIGHT + 2 * MARGIN
  const rows = results.map(({ label, timesReference: { median, min, max } }, index) => {
    const middle = MARGIN + (index + 0.5) * ROW_HEIGHT
    return `<text x="${LABEL_WIDTH - 8}" y="${middle + 4}" text-anchor="end">${escaped(label)}</text>
<rect x="${LABEL_WIDTH}" y="${middle - 8}" width="${(Number(x(median)) - LABEL_WIDTH).toFixed(1)}" height="16" fill="${BAR}"/>
<path d="M${x(min)} ${middle}H${x(max)}M${x(min)} ${middle - 4}v8M${x(max)} ${middle - 4}v8" stroke="${LINE}" fill="none"/>
<text x="${Number(x(max)) + 8}" y="${middle + 4}">${median.toFixed(2)}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13" fill="${TEXT}" role="img">
<title>CPU per request, divided by a bare Express and undici forwarder</title>
${rows.join('\n')}
<path d="M${x(1)} ${MARGIN / 2}V${height - MARGIN / 2}" stroke="${LINE}" stroke-dasharray="4 4"/>
</svg>
`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
