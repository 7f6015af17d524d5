import { refuse, notText, type Parse } from './parsed'

const UNITS = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 } as const
const FORM = 'a number and its unit, such as 512B, 16KiB or 1MiB'

export const SIZE_PATTERN = '^\\d+(?:B|KiB|MiB|GiB)$'

/** Parses `512B`, `16KiB`, `1MiB` as bytes, both bounds included. */
export function size(bounds: { atLeast: string; atMost: string }): Parse<number> {
  const allowed = `${FORM}, from ${bounds.atLeast} to ${bounds.atMost}`
  return function parseSize(found) {
    if (typeof found === 'number') return refuse('has no unit', allowed, `${found}B`)
    if (typeof found !== 'string') return notText(found, allowed)
    if (/^\d+$/.test(found)) return refuse('has no unit', allowed, `${found}B`)
    const bytes = toBytes(found)
    if (bytes === undefined) return refuse('is not a size', allowed, respelled(found))
    if (bytes < (toBytes(bounds.atLeast) ?? 0)) return refuse('is too small', allowed)
    if (bytes > (toBytes(bounds.atMost) ?? 0)) return refuse('is too large', allowed)
    return { value: bytes }
  }
}

/** Formats a size as the file writes it: `16KiB`, `1500B`. */
export function sizeText(bytes: number): string {
  const unit = (['GiB', 'MiB', 'KiB'] as const).find(one => bytes >= UNITS[one] && bytes % UNITS[one] === 0) ?? 'B'
  return `${bytes / UNITS[unit]}${unit}`
}

function toBytes(text: string): number | undefined {
  const [, amount, unit] = /^(\d+)(B|KiB|MiB|GiB)$/.exec(text) ?? []
  return unit === undefined ? undefined : Number(amount) * UNITS[unit as keyof typeof UNITS]
}

/** Suggests a spelling: `16 kb` → `16KiB`. */
function respelled(text: string): string | undefined {
  const [, amount, letter] = /^\s*(\d+)\s*([bkmg])i?b?\s*$/i.exec(text) ?? []
  if (letter === undefined) return undefined
  return `${amount}${{ b: 'B', k: 'KiB', m: 'MiB', g: 'GiB' }[letter.toLowerCase()]}`
}
