import { refuse, notText, type Parsed } from './parsed'

/** Paths that the gateway answers itself on its own port if no route matches. */
export const OWN_PATHS: readonly string[] = ['/', '/metrics']

/**
 * Whether the path is `/metrics` or below it: a route matches it only by its own path or by `/`, never by a parameter.
 */
export function isMetricsPath(path: string): boolean {
  return path.startsWith('/metrics') && (path.length === 8 || path[8] === '/')
}

const ALLOWED = 'a path such as /api/orders or /users/:id; it matches itself and everything below it'
const PARAM = /^:[A-Za-z_][A-Za-z0-9_]*$/
/** A literal segment: RFC 3986 §3.3, without the brackets that other routers give a meaning. */
const LITERAL = /^(?:[A-Za-z0-9\-._~!$&'()+,;=:@]|%[0-9A-F]{2})+$/

export const PATH_PATTERN = '^(?:/|(?:/(?::[A-Za-z_][A-Za-z0-9_]*|[^/:*?#\\s][^/*?#\\s]*))+)$'

/** Parses a prefix of segments such as `/api/orders` or `/users/:id`, in the same normal form as request paths. */
export function parsePathTemplate(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  if (found === '/') return { value: found }
  const fault = formFault(found) ?? paramFault(found) ?? literalFault(found)
  return fault === undefined ? { value: found } : refuse(fault, ALLOWED, respelled(found))
}

const ADD_ALLOWED = 'a path such as /v2, which is put in front'

/** Parses the prefix that is added to a path before it is forwarded, after the strip prefix was removed. */
export function parseAddPrefix(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, ADD_ALLOWED)
  if (found === '/') return refuse('would add nothing', `${ADD_ALLOWED}; or leave "addPrefix" out`)
  const param = segmentsOf(found).find(segment => segment.startsWith(':'))
  if (param !== undefined) return refuse(`has the parameter "${param}", which has no value here`, ADD_ALLOWED)
  const fault = formFault(found) ?? literalFault(found)
  return fault === undefined ? { value: found } : refuse(fault, ADD_ALLOWED, respelled(found))
}

const STRIP_ALLOWED = "the first segments of the route's path, such as /api"

/**
 * Parses the prefix that is removed before a path is forwarded: literal segments, since a `:param` has no fixed length.
 */
export function parseStripPrefix(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, STRIP_ALLOWED)
  if (found === '/') return refuse('would strip nothing', `${STRIP_ALLOWED}; or leave "stripPrefix" out`)
  const param = segmentsOf(found).find(segment => segment.startsWith(':'))
  if (param !== undefined) return refuse(`has the parameter "${param}", which has no fixed length`, STRIP_ALLOWED)
  const fault = formFault(found) ?? literalFault(found)
  return fault === undefined ? { value: found } : refuse(fault, STRIP_ALLOWED, respelled(found))
}

export function segmentsOf(path: string): string[] {
  return path.slice(1).split('/')
}

/**
 * The shape of a template. Templates of one shape match the same paths: `/users/:id` and `/users/:name` are both
 * `/users/:`.
 */
export function pathShape(path: string, ignoreCase = false): string {
  const literal = (segment: string): string => (ignoreCase ? `~${segment.toLowerCase()}` : segment)
  return segmentsOf(path)
    .map(segment => `/${segment.startsWith(':') ? ':' : literal(segment)}`)
    .join('')
}

function formFault(path: string): string | undefined {
  if (/^[a-z]+:\/\//i.test(path)) return 'is a URL: the host belongs under "host"'
  if (!path.startsWith('/')) return 'does not begin with "/"'
  if (/[?#]/.test(path)) return 'has a query or a fragment, which no route can match'
  if (path.includes('*')) return 'has a wildcard: a path matches everything below it anyway'
  if (path.endsWith('/')) return 'ends with "/"'
  if (path.includes('//')) return 'has an empty segment'
  return undefined
}

function paramFault(path: string): string | undefined {
  const seen = new Set<string>()
  for (const segment of segmentsOf(path).filter(segment => segment.startsWith(':'))) {
    if (!PARAM.test(segment)) return `has "${segment}" in it: a parameter is ":" and a name, for a whole segment`
    if (seen.has(segment)) return `has the parameter "${segment}" twice`
    seen.add(segment)
  }
  return undefined
}

function literalFault(path: string): string | undefined {
  for (const segment of segmentsOf(path).filter(segment => !segment.startsWith(':'))) {
    if (segment === '.' || segment === '..') return `has the segment "${segment}", which is refused in every request`
    if (/%(?:2f|5c|00)/i.test(segment)) return 'has an encoded slash, backslash or NUL, refused in every request'
    if (segment !== normalEscapes(segment) || !LITERAL.test(segment)) {
      return `has the segment "${segment}", which is not written as requests write it`
    }
  }
  return undefined
}

/** The path that was probably meant, if it is valid. */
function respelled(path: string): string | undefined {
  const segments = path
    .replace(/^[a-z]+:\/\/[^/]*|[?#].*$/gi, '')
    .split('/')
    .filter(segment => segment !== '' && !/^[.*]+$/.test(segment))
    .map(segment => segment.replace(/^\{(\w+)\}$|^<(\w+)>$|^\[(\w+)\]$/, ':$1$2$3'))
    .map(segment => (segment.startsWith(':') ? segment.replaceAll('-', '_') : normalEscapes(segment)))
  const meant = `/${segments.join('/')}`
  const fault = formFault(meant) ?? paramFault(meant) ?? literalFault(meant)
  return fault === undefined ? meant : undefined
}

/** Normalizes escapes as in request paths: required ones in upper case, those of unreserved characters decoded. */
function normalEscapes(segment: string): string {
  return segment
    .toWellFormed()
    .replace(/[^\0-\x7f]+|[ "<>^`{|}]/gu, encodeURIComponent)
    .replace(/%([0-9a-f]{2})/gi, (escape, hex: string) => {
      const character = String.fromCharCode(Number.parseInt(hex, 16))
      return /[A-Za-z0-9\-._~]/.test(character) ? character : escape.toUpperCase()
    })
}
