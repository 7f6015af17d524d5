import { html, type Html } from './html'

/** Formats a time as `16:02:11`, in UTC like all times on a page. */
export function clock(timeMs: number): string {
  return isoText(timeMs).slice(11, 19)
}

/** `2026-11-23 16:02:11`. */
export function dateAndClock(timeMs: number): string {
  return isoText(timeMs).slice(0, 19).replace('T', ' ')
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `16:02:11` if that is today, else with its day: `23 Nov 2026 16:02:11`. */
export function clockOrDate(timeMs: number, now: number): string {
  const [year = '', month = '', day = ''] = isoText(timeMs).slice(0, 10).split('-')
  if (isoText(now).startsWith(`${year}-${month}-${day}`)) return clock(timeMs)
  return `${Number(day)} ${MONTHS[Number(month) - 1]} ${year} ${clock(timeMs)}`
}

/** The same for machines too. */
export function timeElement(timeMs: number, text = clock(timeMs)): Html {
  return html`<time datetime="${isoText(timeMs)}" title="${dateAndClock(timeMs)} UTC">${text}</time>`
}

const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const

/** Formats a long duration in its two largest units: `2 h 5 min`, `3 min 50 s`, `12 s`. */
export function lasted(ms: number): string {
  let seconds = Math.max(0, Math.round(ms / 1_000))
  const parts: string[] = []
  for (const [unit, size] of UNITS) {
    const count = Math.floor(seconds / size)
    seconds -= count * size
    if (count > 0 || parts.length > 0) parts.push(count > 0 ? `${count} ${unit}` : '')
    if (parts.length === 2) break
  }
  return parts.filter(part => part !== '').join(' ') || '0 s'
}

/** Formats a short duration with at most three digits: `0.42 ms`, `17.3 ms`, `2.05 s`, `12 min`. */
export function duration(ms: number): string {
  if (ms >= 120_000) return `${Math.round(ms / 60_000)} min`
  if (ms >= 1_000) return `${digits(ms / 1_000)} s`
  return ms === 0 ? '0' : `${digits(ms)} ms`
}

function digits(value: number): string {
  return String(Number(value.toPrecision(3)))
}

/** Formats a time as ISO 8601. An invalid time, from a record or a span, must not fail the page. */
function isoText(timeMs: number): string {
  const date = new Date(timeMs)
  return Number.isNaN(date.getTime()) ? '0000-00-00T00:00:00' : date.toISOString()
}
