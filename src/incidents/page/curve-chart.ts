import { scaleLinear, scaleUtc } from 'd3-scale'
import { area, line } from 'd3-shape'
import type { Curve, CurveLine } from '../evidence/curve'
import { html, type Html } from '../../page/html'
import { clock, duration } from '../../page/times'

/** A request that proves the curve. */
export interface Dot {
  readonly timeMs: number
  readonly durationMs: number
  readonly href: string | undefined
  readonly label: string
}

/** A moment that is named over the curve. */
export interface Mark {
  readonly timeMs: number
  readonly kind: 'bad' | 'fired' | 'resolved'
  readonly label: string
}

export interface Chart {
  /** Tells its elements from those of other charts on the page. */
  readonly id: string
  readonly curve: Curve
  readonly dots: readonly Dot[]
  readonly marks: readonly Mark[]
  /** Times at which something changed. */
  readonly changes: readonly number[]
}

/** Pixels. The width is the reader's: across, everything stands at a percentage, so type keeps its size on a phone. */
const HEIGHT = 260
const MARK_ROW = 16
const TOP = 58
const BOTTOM = HEIGHT - 24

/** The curve with its dots and marks as SVG that needs no script. */
export function curveChart(chart: Chart): Html {
  const { id, curve, marks } = chart
  const { startMs, endMs } = extent(curve)
  const seen = within(chart)
  const x = scaleUtc([startMs, endMs], [0, 100]).clamp(true)
  const shown = drawnLines(curve)
  const highest = Math.max(
    ...shown.flatMap(({ values }) => values.map(value => value ?? 0)),
    ...(curve.unit === 'seconds' ? seen.dots.map(({ durationMs }) => durationMs / 1_000) : []),
  )
  const y = scaleLinear([0, highest > 0 ? highest : 1], [BOTTOM, TOP]).nice(4)
  const atStep = (index: number): number => x(curve.startMs + index * curve.stepMs)
  const stroke = line<number | null>(
    (_, index) => atStep(index),
    value => y(value ?? 0),
  )
    .defined(value => value !== null)
    .digits(2)
  const ground = area<number | null>(
    (_, index) => atStep(index),
    BOTTOM,
    value => y(value ?? 0),
  )
    .defined(value => value !== null)
    .digits(2)
  const bad = marks.find(({ kind }) => kind === 'bad')
  const over = marks.find(({ kind }) => kind === 'resolved')
  const main = curve.lines[0]

  return html`<svg class="chart" width="100%" height="${HEIGHT}" role="group" aria-labelledby="${id}-title ${id}-desc">
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
    ${yTicks(y.ticks(4), curve.unit).map(
      ({ value, text }) =>
        html`<line class="grid" x1="0" x2="100%" y1="${y(value)}" y2="${y(value)}" />
          <text class="tick" x="2" y="${y(value) - 4}">${text}</text>`,
    )}
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
    ${x.ticks(5).map(time => xTick(x(time), tickText(time.getTime(), endMs - startMs)))}
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
  </svg>`
}

/** What the lines and dots mean. */
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
        a request that proves it; follow it to its trace
      </li>`
    }
    ${changes.length > 0 && html`<li><span class="change" aria-hidden="true">◆</span> something changed</li>`}
  </ul>`
}

/** From the first number that there is: a Prometheus that has just been started knows nothing of the time before. */
function extent({ startMs, stepMs, lines }: Curve): { readonly startMs: number; readonly endMs: number } {
  const length = Math.max(2, ...lines.map(({ values }) => values.length))
  const firsts = lines.map(({ values }) => values.findIndex(value => value !== null)).filter(index => index >= 0)
  const first = Math.min(length - 2, ...firsts)
  return { startMs: startMs + Math.max(0, first) * stepMs, endMs: startMs + (length - 1) * stepMs }
}

/** What happened in the time that the picture shows. */
function within({ curve, dots, marks, changes }: Chart): Pick<Chart, 'dots' | 'marks' | 'changes'> {
  const { startMs, endMs } = extent(curve)
  const isIn = (timeMs: number): boolean => timeMs >= startMs && timeMs <= endMs
  const wasIn = ({ timeMs }: { readonly timeMs: number }): boolean => isIn(timeMs)
  return { dots: dots.filter(wasIn), marks: marks.filter(wasIn), changes: changes.filter(isIn) }
}

/** A line more than this many times as high as the one that matters would press it flat. */
const FLATTENING = 12

function drawnLines({ lines }: Curve): readonly CurveLine[] {
  const [main, ...others] = lines
  if (main === undefined) return []
  const highest = highestOf(main)
  return [main, ...others.filter(other => highest === 0 || highestOf(other) <= highest * FLATTENING)]
}

function highestOf({ values }: CurveLine): number {
  return Math.max(0, ...values.map(value => value ?? 0))
}

function yTicks(ticks: readonly number[], unit: Curve['unit']): { readonly value: number; readonly text: string }[] {
  if (unit === 'on or off') return [0, 1].map(value => ({ value, text: valueText(value, unit) }))
  // The ground line needs no number, and changes are marked there.
  return ticks.map(value => ({ value, text: value === 0 ? '' : valueText(value, unit) }))
}

function valueText(value: number, unit: Curve['unit']): string {
  switch (unit) {
    case 'per second':
      return `${Number(value.toPrecision(3))}/s`
    case 'seconds':
      return value === 0 ? '0' : duration(value * 1_000)
    case 'share':
      return `${Math.round(value * 100)} %`
    case 'on or off':
      return value === 0 ? 'no' : 'yes'
  }
}

function unitInWords(unit: Curve['unit']): string {
  return unit === 'per second' ? 'per second' : unit === 'share' ? 'in per cent' : ''
}

function xTick(atPercent: number, text: string): Html {
  return html`<line
      class="grid"
      x1="${percent(atPercent)}"
      x2="${percent(atPercent)}"
      y1="${BOTTOM}"
      y2="${BOTTOM + 4}"
    />
    <text class="tick" x="${percent(atPercent)}" y="${HEIGHT - 6}" text-anchor="${anchor(atPercent, 6)}">${text}</text>`
}

function tickText(timeMs: number, spanMs: number): string {
  return spanMs > 5 * 60_000 ? clock(timeMs).slice(0, 5) : clock(timeMs)
}

function markLine({ timeMs, kind, label }: Mark, atPercent: number, row: number): Html {
  const x = percent(atPercent)
  const side = atPercent > 60 ? 'end' : 'start'
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
  // The larger one is what a finger hits.
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

/** On the line between the two points next to it. */
function valueAt({ startMs, stepMs }: Curve, main: CurveLine | undefined, timeMs: number): number {
  const place = (timeMs - startMs) / stepMs
  const before = main?.values[Math.floor(place)] ?? 0
  const after = main?.values[Math.ceil(place)] ?? before
  return before + (after - before) * (place - Math.floor(place))
}

function describe(curve: Curve, dots: number): string {
  const { startMs, endMs } = extent(curve)
  const [main] = curve.lines
  if (main === undefined) return ''
  const highest = highestOf(main)
  const at = curve.startMs + main.values.indexOf(highest) * curve.stepMs
  const last = main.values.findLast(value => value !== null) ?? 0
  return [
    `From ${clock(startMs)} to ${clock(endMs)} UTC.`,
    `Highest: ${valueText(highest, curve.unit)} at ${clock(at)}; last: ${valueText(last, curve.unit)}.`,
    ...(dots > 0 ? [`${dots} requests that prove it are links to their traces.`] : []),
  ].join(' ')
}

/** Words at the edges stay inside of the picture. */
function anchor(atPercent: number, margin: number): 'start' | 'middle' | 'end' {
  return atPercent < margin ? 'start' : atPercent > 100 - margin ? 'end' : 'middle'
}

function percent(value: number): string {
  return `${value.toFixed(2)}%`
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

export const CHART_STYLE = `
figure { margin: 0; }
figure + figure { margin-top: 1.5rem; }
figcaption { margin-top: .35rem; }
.chart { overflow: hidden; font-size: 12px; }
.chart text { fill: var(--muted); paint-order: stroke; stroke: var(--surface); stroke-width: 3px; stroke-linejoin: round; }
.grid { stroke: var(--line); stroke-width: 1; }
.bad-time { fill: var(--bad-soft); }
.main-line { stroke: var(--bad); stroke-width: 2.25; fill: none; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.other-line { stroke: var(--calm); stroke-width: 1.5; fill: none; vector-effect: non-scaling-stroke; stroke-dasharray: 5 4; }
.ground { fill: var(--bad); opacity: .13; }
.dot { fill: var(--surface); stroke: var(--bad); stroke-width: 2.5; }
a:hover .dot, a:focus .dot { fill: var(--bad); }
.reach { fill: transparent; }
.mark line { stroke-width: 1.5; }
.mark text { font-weight: 600; }
.mark.bad line { stroke: var(--bad); stroke-dasharray: 3 3; } .mark.bad text { fill: var(--bad); }
.mark.fired line { stroke: var(--warn); } .mark.fired text { fill: var(--warn); }
.mark.resolved line { stroke: var(--good); } .mark.resolved text { fill: var(--good); }
.chart text.change { fill: var(--calm); } .legend .change { color: var(--calm); }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1.1rem; color: var(--muted); margin-top: .4rem; }
.legend li { display: flex; align-items: center; gap: .4rem; }
`
