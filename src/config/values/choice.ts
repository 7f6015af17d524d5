import { nearestName } from '../nearest-name'
import { refuse, type Parse } from './parsed'

/** Parses one of a few words; `meant` maps common alternatives to the suggested word. */
export function choice<const T extends string>(
  words: readonly T[],
  meant: Readonly<Record<string, T>> = {},
  problem = 'is not known here',
): Parse<T> {
  const allowed = words.join(', ')
  return function parseChoice(found) {
    if (found === undefined) return refuse('is missing', allowed)
    if (found === null) return refuse('is empty', allowed)
    const word = words.find(word => word === found)
    if (word !== undefined) return { value: word }
    if (typeof found !== 'string') return refuse(problem, allowed)
    const text = found.toLowerCase()
    return refuse(problem, allowed, Object.hasOwn(meant, text) ? meant[text] : nearestName(text, words))
  }
}

/** Parses `true` or `false` from an environment variable. */
export const parseBoolean: Parse<boolean> = found => {
  // A map of a file may have a key `toString`, which is no function.
  const text = typeof found === 'string' || typeof found === 'number' ? String(found) : ''
  if (/^true$/i.test(text)) return { value: true }
  if (/^false$/i.test(text)) return { value: false }
  const nearest = /^(?:1|yes|y|on|enabled?)$/i.test(text)
    ? 'true'
    : /^(?:0|no|n|off|disabled?)$/i.test(text)
      ? 'false'
      : nearestName(text, ['true', 'false'])
  return refuse('is neither true nor false', 'true or false', nearest)
}

/** Parses `true` or `false` from the file. */
export const parseFlag: Parse<boolean> = found => {
  if (typeof found === 'boolean') return { value: found }
  if (found === undefined || found === null) return refuse('is empty', 'true or false')
  const nearest = parseBoolean(found)
  return refuse(
    'is neither true nor false',
    'true or false',
    'value' in nearest ? String(nearest.value) : nearest.mistake.nearest,
  )
}
