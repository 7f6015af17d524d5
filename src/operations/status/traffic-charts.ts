import { perSecond } from '../../pages/traffic-wording'
import { scaleLinear, type ScaleLinear } from 'd3-scale'
import { area, line, stack, type SeriesPoint } from 'd3-shape'
import { html, type Html } from '../../pages/html'
import { timeAxis } from '../../pages/time-axis'
import { valueAxis } from '../../pages/value-axis'
import { clock, duration } from '../../pages/times'
import type { Traffic } from '../../observe/recent/recent-requests'

/** The requests of some time, slot by slot, oldest first. */
export interface TrafficCurve {
  /** Tells its elements from those of other charts on the page. */
  readonly id: string
  readonly what: string
  /** Begin of the first slot. */
  readonly startMs: number
  /** Now, within the last slot. */
  readonly endMs: number
  readonly slotMs: number
  readonly slots: readonly Traffic[]
}

/** One request in the first instant of a slot is not a thousand per second: a slot that has just begun is not drawn yet. */
const LEAST_MS = 3_000

/** The curve as it is drawn. */
export function drawn(curve: TrafficCurve): TrafficCurve {
  const { startMs, endMs, slotMs, slots } = curve
  const lastMs = startMs + (slots.length - 1) * slotMs
  return endMs - lastMs < LEAST_MS ? { ...curve, endMs: lastMs, slots: slots.slice(0, -1) } : curve
}

/** Pixels. The width is the reader's: across, everything stands at a percentage, so type keeps its size on a phone. */
interface Frame {
  readonly height: number
  readonly top: number
  readonly bottom: number
}

const LARGE: Frame = { height: 190, top: 18, bottom: 166 }
const SMALL: Frame = { height: 46, top: 3, bottom: 44 }

/** From the ground up: what failed is compared best where all begin at the same height. */
const ENDS = ['faults', 'refusals', 'clientClosed', 'answered'] as const
const END_NAMES = {
  faults: 'faults',
  refusals: 'refusals',
  clientClosed: 'client closed',
  answered: 'answered',
}
const QUANTILES = ['p50Ms', 'p95Ms', 'p99Ms'] as const

/** How many requests there were each second, and how they ended. */
export function requestsChart(curve: TrafficCurve): Html {
  const highest = highestRate(curve)
  const y = scaleLinear([0, highest > 0 ? highest : 1], [LARGE.bottom, LARGE.top]).nice(3)
  const labels = valueAxis(y.ticks(3), y, value => (value === 0 ? '0' : `${perSecond(value)}/s`), LARGE.height)
  return chart(curve, LARGE, describeRequests(curve), labels, [
    ...gridLines(y.ticks(3), y),
    picture(curve, LARGE, requestAreas(curve, y)),
  ])
}

/** How long they took. */
export function latencyChart(curve: TrafficCurve): Html {
  const highest = highestLatency(curve)
  const y = scaleLinear([0, highest > 0 ? highest : 1], [LARGE.bottom, LARGE.top]).nice(3)
  const ticks = highest > 0 ? y.ticks(3) : [0]
  return chart(curve, LARGE, describeLatency(curve), valueAxis(ticks, y, duration, LARGE.height), [
    ...gridLines(ticks, y),
    picture(curve, LARGE, latencyLines(curve, y)),
  ])
}

/** The same, of the size of a line of a table. */
export function requestsSpark(curve: TrafficCurve): Html {
  const y = scaleLinear([0, highestRate(curve) || 1], [SMALL.bottom, SMALL.top])
  return spark(curve, describeRequests(curve), requestAreas(curve, y))
}

export function latencySpark(curve: TrafficCurve): Html {
  const y = scaleLinear([0, highestLatency(curve) || 1], [SMALL.bottom, SMALL.top])
  return spark(curve, describeLatency(curve), latencyLines(curve, y))
}

export function requestsLegend(): Html {
  return html`<ul class="legend small">
    ${ENDS.toReversed().map(
      end =>
        html`<li>
          <svg width="12" height="12" aria-hidden="true"><rect class="${end}" width="12" height="12" rx="2" /></svg>
          ${END_NAMES[end]}
        </li>`,
    )}
  </ul>`
}

export function latencyLegend(): Html {
  return html`<ul class="legend small">
    ${QUANTILES.map(
      name =>
        html`<li>
          <svg width="18" height="10" aria-hidden="true"><line class="${name}" x2="18" y1="5" y2="5" /></svg>
          ${quantileName(name)}
        </li>`,
    )}
  </ul>`
}

function chart(curve: TrafficCurve, frame: Frame, described: string, labels: Html, content: readonly Html[]): Html {
  const { id, what, startMs, endMs } = curve
  const x = scaleLinear([startMs, endMs], [0, 100])
  return html`<div class="plot">
    ${labels}<svg
      class="chart"
      width="100%"
      height="${frame.height}"
      role="img"
      aria-labelledby="${id}-title ${id}-desc"
    >
      <title id="${id}-title">${what}</title>
      <desc id="${id}-desc">${described}</desc>
      ${content} ${timeAxis({ startMs, endMs }, x, frame)}
    </svg>
  </div>`
}

function spark(curve: TrafficCurve, described: string, content: readonly Html[]): Html {
  return html`<svg
    class="spark"
    width="100%"
    height="${SMALL.height}"
    role="img"
    aria-label="${curve.what}. ${described}"
  >
    <line class="grid" x1="0" x2="100%" y1="${SMALL.bottom + 1}" y2="${SMALL.bottom + 1}" />
    ${picture(curve, SMALL, content)}
  </svg>`
}

/** Stretched to the reader's width, without its strokes. */
function picture({ startMs, endMs, slotMs }: TrafficCurve, { height }: Frame, content: readonly Html[]): Html {
  return html`<svg
    x="0"
    y="0"
    width="100%"
    height="${height}"
    viewBox="0 0 ${((endMs - startMs) / slotMs).toFixed(2)} ${height}"
    preserveAspectRatio="none"
  >
    ${content}
  </svg>`
}

function gridLines(ticks: readonly number[], y: ScaleLinear<number, number>): readonly Html[] {
  return ticks.map(value => html`<line class="grid" x1="0" x2="100%" y1="${y(value)}" y2="${y(value)}" />`)
}

type Ends = Readonly<Record<(typeof ENDS)[number], number>>

function requestAreas(curve: TrafficCurve, y: ScaleLinear<number, number>): readonly Html[] {
  const rates = curve.slots.map(({ requests, faults, refusals, clientClosed }, index): Ends => {
    const seconds = secondsOf(curve, index)
    return {
      faults: faults / seconds,
      refusals: refusals / seconds,
      clientClosed: clientClosed / seconds,
      answered: (requests - faults - refusals - clientClosed) / seconds,
    }
  })
  const shape = area<Step<SeriesPoint<Ends>>>(
    ({ at }) => at,
    ({ value: [from] }) => y(from),
    ({ value: [, to] }) => y(to),
  ).digits(2)
  const layers = stack<Ends>().keys(ENDS)(rates)
  return layers
    .filter(layer => layer.some(([from, to]) => to > from))
    .map(layer => html`<path class="${layer.key}" d="${shape(steps(layer)) ?? ''}" />`)
}

function latencyLines({ slots }: TrafficCurve, y: ScaleLinear<number, number>): readonly Html[] {
  const shape = line<Step<number | null>>(
    ({ at }) => at,
    ({ value }) => y(value ?? 0),
  )
    .defined(({ value }) => value !== null)
    .digits(2)
  return QUANTILES.toReversed().map(
    name => html`<path class="${name}" d="${shape(steps(slots.map(slot => slot[name]))) ?? ''}" />`,
  )
}

interface Step<Value> {
  /** In slots from the first. */
  readonly at: number
  readonly value: Value
}

/**
 * Each value for as long as its slot: one that stands alone would be a point without width, and not be seen. Of the last one, as much
 * as is over: the picture ends now.
 */
function steps<Value>(values: readonly Value[]): Step<Value>[] {
  return values.flatMap((value, index) => [
    { at: index, value },
    { at: index + 1, value },
  ])
}

/** How long a slot was, or is by now. */
function secondsOf({ startMs, endMs, slotMs }: TrafficCurve, index: number): number {
  return Math.max(LEAST_MS, Math.min(slotMs, endMs - startMs - index * slotMs)) / 1_000
}

function highestRate(curve: TrafficCurve): number {
  return Math.max(0, ...curve.slots.map(({ requests }, index) => requests / secondsOf(curve, index)))
}

function highestLatency({ slots }: TrafficCurve): number {
  return Math.max(0, ...slots.map(({ p99Ms }) => p99Ms ?? 0))
}

function describeRequests(curve: TrafficCurve): string {
  const { slots, startMs, slotMs } = curve
  const requests = slots.reduce((sum, slot) => sum + slot.requests, 0)
  const faults = slots.reduce((sum, slot) => sum + slot.faults, 0)
  const from = `Since ${clock(startMs)} UTC`
  if (requests === 0) return `${from}: no requests.`
  const worst = slots.reduce((most, slot, index) => (slot.faults > (slots[most]?.faults ?? 0) ? index : most), 0)
  const failed = faults === 0 ? 'none failed' : `${faults} failed, most about ${clock(startMs + worst * slotMs)}`
  return `${from}: ${requests} requests, ${perSecond(highestRate(curve))} per second at peak, ${failed}.`
}

function describeLatency(curve: TrafficCurve): string {
  const last = curve.slots.findLast(({ p99Ms }) => p99Ms !== null)
  if (last === undefined) return 'No requests were answered.'
  const values = QUANTILES.map(name => `${quantileName(name)} ${duration(last[name] ?? 0)}`)
  return `Last: ${values.join(', ')}; highest p99: ${duration(highestLatency(curve))}.`
}

function quantileName(name: (typeof QUANTILES)[number]): string {
  return name.slice(0, 3)
}

/** `0.07`, `4.2`, `1300`: two digits, and no exponent. */
export const TRAFFIC_STYLE = `
.chart .faults, .spark .faults, .legend .faults { fill: var(--bad); }
.chart .refusals, .spark .refusals, .legend .refusals { fill: var(--warn); }
.chart .clientClosed, .spark .clientClosed, .legend .clientClosed { fill: var(--muted); }
.chart .answered, .spark .answered, .legend .answered { fill: var(--calm); }
.p50Ms, .p95Ms, .p99Ms { fill: none; vector-effect: non-scaling-stroke; stroke-linejoin: round; stroke-width: 2; }
.p50Ms { stroke: var(--client); } .p95Ms { stroke: var(--server); stroke-width: 2.5; } .p99Ms { stroke: var(--warn); stroke-dasharray: 2 3; }
.spark { overflow: visible; } .spark .p99Ms, .spark .p95Ms, .spark .p50Ms { stroke-width: 1.5; }
`
