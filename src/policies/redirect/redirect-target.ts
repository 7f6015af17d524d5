import { refuse, notText, type Parsed } from '../../config/values/parsed'

export interface RedirectTarget {
  /** Target without a trailing `/*`. */
  readonly to: string
  /** Whether the path below the route's is appended. */
  readonly keepsRest: boolean
}

const ALLOWED = 'a path such as /new or an http(s) URL; with /* at its end it keeps the rest of the path'

/** JSON schema pattern, for editors. */
export const REDIRECT_PATTERN = '^(?:[Hh][Tt][Tt][Pp][Ss]?://[^/]|/(?:[^/]|$))[^#\\s]*$'

/** Parses a redirect target. Refuses `//host`, which looks like a path but leads to another site. */
export function parseRedirectTarget(found: unknown): Parsed<RedirectTarget> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  const keepsRest = found.endsWith('/*')
  const to = keepsRest ? found.slice(0, -2) : found
  if (to.includes('*')) return refuse('has a "*" that is not a whole last segment', ALLOWED)
  // Also `//*`: its `/` with the rest of the path would lead to another site.
  if (/^\/[/\\]/.test(found)) return refuse('would lead to another site: such a target has its scheme', ALLOWED)
  if (keepsRest && to.endsWith('/')) return refuse('has an empty segment', ALLOWED)
  const fault = isUrl(to) ? urlFault(to) : pathFault(to, keepsRest)
  if (fault !== undefined) return refuse(fault, ALLOWED)
  return { value: { to: isUrl(to) ? normalUrl(to, keepsRest) : to, keepsRest } }
}

function isUrl(to: string): boolean {
  return /^[a-z][a-z0-9+.-]*:/i.test(to)
}

function urlFault(to: string): string | undefined {
  const url = URL.parse(to)
  if (!/^https?:\/\/[^/?#]/i.test(to)) return 'is neither a path nor an http or https URL'
  if (url === null) return 'is not a valid URL'
  // The problem omits the text: a password must not appear in a log.
  if (url.username !== '' || url.password !== '') return 'has credentials in it'
  return textFault(to) ?? segmentsFault(to.replace(/^https?:\/\/[^/?#]+/i, ''))
}

function pathFault(to: string, keepsRest: boolean): string | undefined {
  if (to === '' && keepsRest) return undefined // `/*`
  if (!to.startsWith('/')) return 'is neither a path nor an http or https URL'
  return textFault(to) ?? segmentsFault(to)
}

function textFault(to: string): string | undefined {
  if (to.includes('#')) return 'has a fragment, behind which no query can be kept'
  if (/[^!-~]|["<>\\^`{|}]/.test(to)) return 'has characters that need an escape in a URL'
  return /%(?![0-9a-f]{2})/i.test(to) ? 'has a "%" that is no escape' : undefined
}

function segmentsFault(pathAndQuery: string): string | undefined {
  const segments = pathAndQuery.replace(/\?.*$/, '').split('/')
  const param = segments.find(segment => segment.startsWith(':'))
  if (param !== undefined) return `has the parameter "${param}", which has no value here`
  if (segments.some(segment => segment === '.' || segment === '..')) return 'has the segment "." or ".."'
  return segments.slice(1, -1).includes('') ? 'has an empty segment' : undefined
}

/** `HTTPS://Shop.Example` → `https://shop.example/`, or without the slash where the rest of a path brings its own. */
function normalUrl(to: string, keepsRest: boolean): string {
  const { href, origin, pathname } = new URL(to)
  return keepsRest && pathname === '/' ? origin : href
}

export const REDIRECT_STATUSES: readonly number[] = [301, 302, 303, 307, 308]
const STATUS_ALLOWED = `${REDIRECT_STATUSES.join(', ')}; 307 and 308 keep method and body`

export function parseRedirectStatus(found: unknown): Parsed<number> {
  const status = REDIRECT_STATUSES.find(status => status === found || String(status) === found)
  return status === undefined ? refuse('is not the status of a redirect', STATUS_ALLOWED) : { value: status }
}
