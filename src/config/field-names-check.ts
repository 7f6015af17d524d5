import type { ConfigProblem } from './types'
import { mistake, type Mistake } from './values/parsed'
import type { Path } from './variables'

/** A part of the file: the `CheckContext` of a policy, or the match of a route. */
interface Place {
  valueAt(...path: Path): unknown
  problemAtKey(path: Path, mistake: Mistake): ConfigProblem
}

/** Checks a map of header fields by name: of one name in two spellings, only one would silently apply. */
export function checkFieldNames(place: Place, key: string): ConfigProblem[] {
  const map = place.valueAt(key)
  if (typeof map !== 'object' || map === null || Array.isArray(map)) return []
  const seen = new Set<string>()
  return Object.keys(map).flatMap(name => {
    // A JavaScript object cannot have it as a key; the condition would be silently lost.
    if (name === '__proto__') return [place.problemAtKey([key, name], mistake('cannot be a name here'))]
    const isAgain = seen.has(name.toLowerCase())
    seen.add(name.toLowerCase())
    const again = mistake('appears twice, in different spellings', 'each field once')
    return isAgain ? [place.problemAtKey([key, name], again)] : []
  })
}
