import { html, type Html } from './html'
import { clock } from './times'

/** Seconds between two ticks, and how they are written: not finer than what a phone has room for. */
const TICK_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600]
const MAX_STEPS = { seconds: 4, minutes: 6 }

/** d3's own steps go from one minute to five: on a phone, eleven ticks would stand on each other. */
export function timeTicks(startMs: number, endMs: number): { readonly timeMs: number; readonly text: string }[] {
  const fits = (step: number): boolean => {
    return (endMs - startMs) / 1_000 / step <= (step < 60 ? MAX_STEPS.seconds : MAX_STEPS.minutes)
  }
  const step = TICK_STEPS.find(fits) ?? 86_400
  const first = Math.ceil(startMs / 1_000 / step) * step
  const count = Math.max(0, Math.floor((endMs / 1_000 - first) / step) + 1)
  return Array.from({ length: Math.min(count, 100) }, (_, index) => {
    const timeMs = (first + index * step) * 1_000
    return { timeMs, text: step < 60 ? clock(timeMs) : clock(timeMs).slice(0, 5) }
  })
}

/** Ticks below a chart, at percentages of its width, so that type keeps its size whatever the reader's window. */
export function timeAxis(
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
  x: (timeMs: number) => number,
  { bottom, height }: { readonly bottom: number; readonly height: number },
): Html {
  const ticks = timeTicks(startMs, endMs).map(({ timeMs, text }) => ({ at: x(timeMs), text }))
  return html`${ticks.map(({ at, text }, index) => {
    const isCrowded = anchor(at, EDGE) !== 'middle' && nearest(at, ticks[index - 1], ticks[index + 1]) < room(text)
    return xTick(at, isCrowded ? '' : text, bottom, height)
  })}`
}

/** Distance from an edge, in percent, within which a text is moved inwards. */
const EDGE = 6
/** Width of a character in percent of a chart on a phone, the narrowest. */
const CHARACTER = 2.4

/** How far the next tick must be from one whose text was moved inwards: its own text, half of the other, and a gap. */
function room(text: string): number {
  return 1.5 * text.length * CHARACTER
}

function nearest(at: number, ...others: readonly ({ readonly at: number } | undefined)[]): number {
  return Math.min(...others.map(other => (other === undefined ? Infinity : Math.abs(other.at - at))))
}

function xTick(atPercent: number, text: string, bottom: number, height: number): Html {
  const mark = html`<line
    class="grid"
    x1="${percent(atPercent)}"
    x2="${percent(atPercent)}"
    y1="${bottom}"
    y2="${bottom + 4}"
  />`
  if (text === '') return mark
  return html`${mark}<text
      class="tick"
      x="${percent(atPercent)}"
      y="${height - 6}"
      text-anchor="${anchor(atPercent, EDGE)}"
      >${text}</text
    >`
}

/** Words at the edges stay inside of the picture. */
function anchor(atPercent: number, margin: number): 'start' | 'middle' | 'end' {
  return atPercent < margin ? 'start' : atPercent > 100 - margin ? 'end' : 'middle'
}

export function percent(value: number): string {
  return `${value.toFixed(2)}%`
}
