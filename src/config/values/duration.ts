import { refuse, notText, type Parse } from './parsed'

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
type Unit = keyof typeof UNITS

/** Other common spellings of the units; they are only suggested, never accepted. */
const SPELLINGS: readonly (readonly [RegExp, Unit])[] = [
  [/^(?:ms|msecs?|millis|milliseconds?)$/, 'ms'],
  [/^(?:s|secs?|seconds?)$/, 's'],
  [/^(?:m|mins?|minutes?)$/, 'm'],
  [/^(?:h|hrs?|hours?)$/, 'h'],
  [/^(?:d|days?)$/, 'd'],
]

/** Maximum duration: a timer holds 2^31-1 ms, a little under 25 days; Node fires a longer one at once. */
export const LONGEST = '24d'
const FORM = 'a number and its unit, such as 250ms, 5s, 1m, 1h or 1d'

export const DURATION_PATTERN = '^\\d+(?:\\.\\d+)?(?:ms|s|m|h|d)$'

/**
 * Parses `250ms`, `5s`, `1m`, `1h`, `1d` as milliseconds, both bounds included. A number without a unit is rejected.
 */
export function duration(bounds: { atLeast: string; atMost?: string }): Parse<number> {
  const { atLeast, atMost = LONGEST } = bounds
  const allowed = `${FORM}, from ${atLeast} to ${atMost}`
  return function parseDuration(found) {
    if (typeof found === 'number') return refuse('has no unit', allowed, `${found}${found >= 1_000 ? 'ms' : 's'}`)
    if (typeof found !== 'string') return notText(found, allowed)
    if (/^\d+$/.test(found)) return refuse('has no unit', allowed, `${found}${Number(found) >= 1_000 ? 'ms' : 's'}`)
    const milliseconds = toMilliseconds(found)
    if (milliseconds === undefined) return refuse('is not a duration', allowed, respelled(found))
    if (!Number.isInteger(milliseconds)) return refuse('is finer than a millisecond', allowed)
    if (milliseconds < (toMilliseconds(atLeast) ?? 0)) return refuse('is too short', allowed)
    if (milliseconds > (toMilliseconds(atMost) ?? 0)) return refuse('is too long', allowed)
    return { value: milliseconds }
  }
}

/** Formats a duration as the file writes it: `90s`, `1h`. */
export function durationText(ms: number): string {
  const unit = (['d', 'h', 'm', 's'] as const).find(one => ms >= UNITS[one] && ms % UNITS[one] === 0) ?? 'ms'
  return `${ms / UNITS[unit]}${unit}`
}

/** Formats a period of days for people: `7d`, `7.5d`; as `durationText` where that takes more than two decimals. */
export function periodText(ms: number): string {
  return ms >= UNITS.d && Number.isInteger((ms * 100) / UNITS.d) ? `${ms / UNITS.d}d` : durationText(ms)
}

function toMilliseconds(text: string): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? []
  if (amount === undefined || unit === undefined) return undefined
  // 1.1 * 1000 is 1100.0000000000002: without rounding, 1.1s would count as finer than a millisecond.
  return Number((Number(amount) * UNITS[unit as Unit]).toFixed(6))
}

/** Suggests a spelling: `5 sec` → `5s`, `1m30s` → `90s`, `7d12h` → `180h`. */
function respelled(text: string): string | undefined {
  let milliseconds = 0
  let rest = text.trim().toLowerCase()
  let onlyUnit: string | undefined
  for (let parts = 0; rest !== ''; parts++) {
    const [all = '', amount = '', word = ''] = /^(\d+)\s*([a-z]+)\s*/.exec(rest) ?? []
    const unit = SPELLINGS.find(([spelling]) => spelling.test(word))?.[1]
    if (unit === undefined) return undefined
    onlyUnit = parts === 0 ? `${amount}${unit}` : undefined
    milliseconds += Number(amount) * UNITS[unit]
    rest = rest.slice(all.length)
  }
  return onlyUnit ?? durationText(milliseconds)
}
