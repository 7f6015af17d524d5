import { scaleLinear } from 'd3-scale'
import { area, curveLinear, curveStepAfter, line } from 'd3-shape'
import { html, type Html } from '../../pages/html'
import { valueAxis } from '../../pages/value-axis'
import { percent, timeAxis } from '../../pages/time-axis'
import { clock } from '../../pages/times'
import { describe, drawnLines, extent, highestOf, valueAt, within, type Chart, type Dot, type Mark } from './chart'
import { unitInWords, valueText, yTicks } from './chart-ticks'

/**
 * Height in pixels. Horizontal positions are percentages, so the chart takes the page's width and text keeps its size
 * on a phone.
 */
const HEIGHT = 260
const MARK_ROW = 16
const TOP = 58
const BOTTOM = HEIGHT - 24

/** Renders the curve with its dots and marks as SVG without a script. */
export function curveChart(chart: Chart): Html {
  const { id, curve, marks } = chart
  const { startMs, endMs } = extent(curve)
  const seen = within(chart)
  const x = scaleLinear([startMs, endMs], [0, 100]).clamp(true)
  const shown = drawnLines(curve)
  const highest = Math.max(
    ...shown.flatMap(({ values }) => values.map(value => value ?? 0)),
    ...(curve.unit === 'seconds' ? seen.dots.map(({ durationMs }) => durationMs / 1_000) : []),
  )
  const y = scaleLinear([0, highest > 0 ? highest : 1], [BOTTOM, TOP]).nice(4)
  const atStep = (index: number): number => x(curve.startMs + index * curve.stepMs)
  // States have no values in between, so they are drawn as steps.
  const shape = curve.unit === 'on or off' ? curveStepAfter : curveLinear
  const stroke = line<number | null>(
    (_, index) => atStep(index),
    value => y(value ?? 0),
  )
    .defined(value => value !== null)
    .curve(shape)
    .digits(2)
  const ground = area<number | null>(
    (_, index) => atStep(index),
    BOTTOM,
    value => y(value ?? 0),
  )
    .defined(value => value !== null)
    .curve(shape)
    .digits(2)
  const bad = marks.find(({ kind }) => kind === 'bad')
  const over = marks.find(({ kind }) => kind === 'resolved')
  const main = curve.lines[0]

  const ticks = yTicks(y.ticks(4), curve.unit)
  const texts = new Map(ticks.map(({ value, text }) => [value, text]))
  const labels = valueAxis([...texts.keys()], y, value => texts.get(value) ?? '', HEIGHT)
  return html`<div class="plot">
    ${labels}<svg class="chart" width="100%" height="${HEIGHT}" role="group" aria-labelledby="${id}-title ${id}-desc">
      <title id="${id}-title">${capitalised(curve.what)} ${unitInWords(curve.unit)}</title>
      <desc id="${id}-desc">${describe(curve, seen.dots.length)}</desc>
      ${
        bad &&
        html`<rect
          class="bad-time"
          x="${percent(x(bad.timeMs))}"
          width="${percent(Math.max(0, x(over?.timeMs ?? endMs) - x(bad.timeMs)))}"
          y="${TOP}"
          height="${BOTTOM - TOP}"
        />`
      }
      ${ticks.map(({ value }) => html`<line class="grid" x1="0" x2="100%" y1="${y(value)}" y2="${y(value)}" />`)}
      <svg x="0" y="0" width="100%" height="${HEIGHT}" viewBox="0 0 100 ${HEIGHT}" preserveAspectRatio="none">
        ${main && html`<path class="ground" d="${ground([...main.values]) ?? ''}" />`}
        ${shown
          .toReversed()
          .map(
            drawn =>
              html`<path
                class="${drawn === main ? 'main-line' : 'other-line'}"
                d="${stroke([...drawn.values]) ?? ''}"
              />`,
          )}
      </svg>
      ${timeAxis({ startMs, endMs }, x, { bottom: BOTTOM, height: HEIGHT })}
      ${seen.changes.map(
        timeMs =>
          html`<text class="change" x="${percent(x(timeMs))}" y="${BOTTOM + 5}" text-anchor="middle" aria-hidden="true">
            ◆
          </text>`,
      )}
      ${seen.marks.map((mark, row) => markLine(mark, x(mark.timeMs), row))}
      ${seen.dots.map(dot => {
        const value = curve.unit === 'seconds' ? dot.durationMs / 1_000 : valueAt(curve, main, dot.timeMs)
        return dotOf(dot, x(dot.timeMs), y(value))
      })}
    </svg>
  </div>`
}

/** Explains the lines and dots. */
export function chartLegend(chart: Chart): Html {
  const { curve } = chart
  const { dots, changes } = within(chart)
  const [main, ...others] = curve.lines
  const drawn = drawnLines(curve)
  return html`<ul class="legend small">
    <li>
      <svg width="18" height="10" aria-hidden="true"><line class="main-line" x2="18" y1="5" y2="5" /></svg>
      ${main?.name}
    </li>
    ${others.map(other =>
      drawn.includes(other)
        ? html`<li>
            <svg width="18" height="10" aria-hidden="true"><line class="other-line" x2="18" y1="5" y2="5" /></svg>
            ${other.name}
          </li>`
        : html`<li>not drawn: ${other.name}, up to ${valueText(highestOf(other), curve.unit)}</li>`,
    )}
    ${
      dots.length > 0 &&
      html`<li>
        <svg width="12" height="12" aria-hidden="true"><circle class="dot" cx="6" cy="6" r="4.5" /></svg>
        an example request, with a link to its trace
      </li>`
    }
    ${changes.length > 0 && html`<li><span class="change" aria-hidden="true">◆</span> a change</li>`}
  </ul>`
}

function markLine({ timeMs, kind, label }: Mark, atPercent: number, row: number): Html {
  const x = percent(atPercent)
  const side = atPercent > 55 ? 'end' : 'start'
  const baseline = MARK_ROW * (row + 1) - 4
  return html`<g class="mark ${kind}">
    <line x1="${x}" x2="${x}" y1="${baseline - 10}" y2="${BOTTOM}" />
    <text x="${x}" y="${baseline}" dx="${side === 'end' ? -5 : 5}" text-anchor="${side}"
      >${label} ${clock(timeMs)}</text
    >
  </g>`
}

function dotOf({ href, label }: Dot, atPercent: number, y: number): Html {
  const x = percent(atPercent)
  const at = y.toFixed(1)
  // The larger circle is the touch target.
  const circles = html`<circle class="dot" cx="${x}" cy="${at}" r="4.5" /><circle
      class="reach"
      cx="${x}"
      cy="${at}"
      r="11"
    />`
  return href === undefined
    ? html`<g><title>${label}</title>${circles}</g>`
    : html`<a href="${href}" aria-label="${label}"><title>${label}</title>${circles}</a>`
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
