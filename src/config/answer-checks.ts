import { problemAt, problemAtKey } from './findings'
import { redirectSchema, respondSchema } from './schema'
import type { ConfigProblem } from './types'
import { mistake } from './values/parsed'
import type { Path } from './variables'
import type { YamlSource } from './yaml-source'

/** What may answer the requests of a route. */
export const ANSWERS = ['upstream', 'redirect', 'respond'] as const
const ALLOWED = `exactly one of ${ANSWERS.join(', ')}`

/** Of no use where no upstream is asked. */
const FOR_UPSTREAMS = ['rewrite', 'requestHeaders', 'timeouts', 'retry', 'websocket'] as const

/** Each route has one thing that answers, and nothing that is for another one. */
export function checkAnswers(at: Path, source: YamlSource): ConfigProblem[] {
  const found = source.valueAt(at)
  if (typeof found !== 'object' || found === null || Array.isArray(found)) return []
  const raw = found as Readonly<Record<string, unknown>>
  const [first, ...others] = ANSWERS.filter(key => Object.hasOwn(raw, key))
  if (first === undefined) return [problemAt([...at, 'upstream'], mistake('is missing', ALLOWED), source)]
  const both = others.map(key => problemAtKey([...at, key], mistake(`is here beside "${first}"`, ALLOWED), source))
  if (first === 'upstream') return both
  const useless = mistake(`is of no use beside "${first}": no upstream is asked`, `an "upstream", or no such key`)
  return [
    ...both,
    ...FOR_UPSTREAMS.filter(key => Object.hasOwn(raw, key)).map(key => problemAtKey([...at, key], useless, source)),
    ...checkRedirect(at, raw, source),
    ...checkRespond([...at, 'respond'], source),
  ]
}

/** A client that is sent to where it came from comes again at once. */
function checkRedirect(at: Path, raw: Readonly<Record<string, unknown>>, source: YamlSource): ConfigProblem[] {
  const redirect = redirectSchema.safeParse(raw['redirect']).data
  const { path, methods, headers } = (raw['match'] ?? {}) as Readonly<Record<string, unknown>>
  if (redirect === undefined || methods !== undefined || headers !== undefined) return []
  const { to, keepsRest } = redirect.to
  // `/*` on a route of parameters only puts the whole path back where it was.
  const isItself = to === path || (to === '' && keepsRest && /^(?:\/:[^/]+)+$/.test(String(path)))
  if (!isItself) return []
  return [problemAt([...at, 'redirect', 'to'], mistake('leads to the route itself', 'another path'), source)]
}

/** RFC 9110 §15.3.5, §15.3.6 and §15.4.5 */
const WITHOUT_BODY: readonly number[] = [204, 205, 304]

function checkRespond(path: Path, source: YamlSource): ConfigProblem[] {
  const respond = respondSchema.safeParse(source.valueAt(path)).data
  if (respond?.body === undefined || !WITHOUT_BODY.includes(respond.status)) return []
  const never = mistake(`cannot be sent with status ${respond.status}, which has none`, 'another status, or no "body"')
  return [problemAtKey([...path, 'body'], never, source)]
}
