import { html, type Html } from './html'

/** Width of the column of numbers beside a chart, in pixels: seven characters. */
const WIDTH = 56

/**
 * The numbers of a chart's vertical axis, in a column of their own beside it: within the chart they would stand on the
 * curves.
 */
export function valueAxis(
  ticks: readonly number[],
  y: (value: number) => number,
  text: (value: number) => string,
  height: number,
): Html {
  return html`<svg class="values" width="${WIDTH}" height="${height}" aria-hidden="true">
    ${ticks.map(
      value => html`<text class="tick" x="${WIDTH - 8}" y="${y(value) + 4}" text-anchor="end">${text(value)}</text>`,
    )}
  </svg>`
}
