import { GatewayError } from '../errors/gateway-error'

/** A request target (RFC 9112 §3.2), parsed and normalised. */
export interface RequestTarget {
  readonly path: string
  /** Path as received. */
  readonly rawPath: string
  /** Whether a segment contains `%2F`. Only routes that forward paths unchanged accept it. */
  readonly hasEncodedSlash: boolean
  /** Query with its `?`, or empty. */
  readonly query: string
  /** Host name without port, lower case; empty if the request has none. */
  readonly host: string
}

/** Target and path of an `OPTIONS` request about the whole server (RFC 9112 §3.2.4). */
export const WHOLE_SERVER = '*'

const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i
/** Characters that servers may read differently. Few paths contain them, so few paths need the full check. */
const NEEDS_CARE = /\/\/|\/\.|[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/
/** Encoded slash, backslash or NUL: a separator for some servers, a character for others. */
const AMBIGUOUS_ESCAPE = /%(?:2f|5c|00)/i
/** The same without the slash. */
const UNREADABLE_ESCAPE = /%(?:5c|00)/i
const ESCAPE = /%([0-9a-f]{2})?/gi
const UNRESERVED = /[a-z0-9\-._~]/i
/** Characters that Node accepts in a path and RFC 3986 does not. */
const UNESCAPED = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]/g
/** Dot segments, also with a parameter: some servers remove `;…` from a segment first. */
const DOT_SEGMENT = /\/\.{1,2}(?:[/;]|%3b|$)/i

/**
 * Parses and normalises a request target, so that the matched path is the forwarded path. Escapes of unreserved characters
 * are decoded (RFC 3986 §6.2.2.2), characters that need an escape get one, repeated slashes become one. Ambiguous paths
 * (`.` and `..` segments, `%2f`, `%5c`, `%00`, backslash, fragment, broken escapes) are refused, because clients could
 * bypass a route's limits with them. Tested examples: docs/configuration.md.
 *
 * @param takesEncodedSlashes whether a route accepts `%2F`, which then stays in its segment
 * @throws GatewayError `bad_request`
 */
export function parseRequestTarget(
  url: string,
  hostHeader: string | undefined,
  takesEncodedSlashes = false,
): RequestTarget {
  const host = parseHost(hostHeader)
  if (url === WHOLE_SERVER) return { path: url, rawPath: url, hasEncodedSlash: false, query: '', host }
  const originForm = url.startsWith('/') ? url : toOriginForm(url, hostHeader)
  const mark = originForm.indexOf('?')
  const path = mark === -1 ? originForm : originForm.slice(0, mark)
  const query = mark === -1 ? '' : originForm.slice(mark)
  if (query.includes('#')) throw refuse('fragment in the request target')
  if (!NEEDS_CARE.test(path)) return { path, rawPath: path, hasEncodedSlash: false, query, host }
  const hasEncodedSlash = takesEncodedSlashes && /%2f/i.test(path)
  return { path: normalise(path, hasEncodedSlash), rawPath: path, hasEncodedSlash, query, host }
}

/** Describes a refused target for log and span, without credentials and without normalising it. */
export function describeRefusedTarget(url: string, hostHeader: string | undefined): RequestTarget {
  const [path = ''] = url.replace(AUTHORITY, '').split(/[?#]/, 1)
  const isHost = hostHeader !== undefined && HOST.test(hostHeader)
  const shown = path.startsWith('/') ? path.slice(0, MAX_DESCRIBED) : ''
  return {
    path: shown,
    rawPath: shown,
    hasEncodedSlash: false,
    query: '',
    host: isHost ? parseHost(hostHeader) : '',
  }
}

/** Scheme and authority of a URL, which may contain a user name and password. */
const AUTHORITY = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i
const MAX_DESCRIBED = 1_024

function parseHost(header: string | undefined): string {
  const host = hostNameOf(header)
  if (host === undefined) throw refuse('invalid Host')
  return host
}

/** Returns the name in `Host`, lower case, without port; empty if missing, undefined if malformed. */
export function hostNameOf(header: string | undefined): string | undefined {
  if (header === undefined || header === '') return ''
  if (!HOST.test(header)) return undefined
  const colon = header.lastIndexOf(':')
  const name = colon > header.lastIndexOf(']') ? header.slice(0, colon) : header
  // `shop.example.` is the same host as `shop.example`; otherwise it would bypass that host's routes.
  return (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase()
}

/**
 * Converts absolute form (RFC 9112 §3.2.2), which clients send to proxies, to origin form. Its authority must equal
 * Host.
 */
function toOriginForm(url: string, hostHeader: string | undefined): string {
  const match = /^https?:\/\/([^/?#]*)(.*)$/i.exec(url)
  if (!match) throw refuse('request target is neither a path nor an http URL')
  const [, authority = '', rest = ''] = match
  if (authority.toLowerCase() !== hostHeader?.toLowerCase()) throw refuse('request target and Host disagree')
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** Why a path with `%2F` is refused that a route with `rawPath` would take. */
export const NEEDS_RAW_PATH = 'ambiguous path: only routes with "rawPath" take %2F'

function isOnlyForRawPath(path: string): boolean {
  return !/[\\#\0]/.test(path) && !UNREADABLE_ESCAPE.test(path) && !DOT_SEGMENT.test(path.replace(/%2f/gi, '/'))
}

function normalise(path: string, hasEncodedSlash = false): string {
  const ambiguous = hasEncodedSlash ? UNREADABLE_ESCAPE : AMBIGUOUS_ESCAPE
  if (/[\\#\0]/.test(path) || ambiguous.test(path))
    throw refuse(isOnlyForRawPath(path) ? NEEDS_RAW_PATH : 'ambiguous path')
  const decoded = path.replace(ESCAPE, (escape, hex: string | undefined) => {
    if (hex === undefined) throw refuse('broken escape in the path')
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return UNRESERVED.test(character) ? character : escape.toUpperCase()
  })
  const merged = decoded.replace(/\/{2,}/g, '/')
  // A server that decodes the slash would see a dot segment here.
  if (DOT_SEGMENT.test(hasEncodedSlash ? merged.replaceAll('%2F', '/') : merged))
    throw refuse('dot segment in the path')
  return merged.replace(UNESCAPED, character => percentEncoded(character))
}

/** Escapes a character. Tab and form feed, which Node accepts, need the leading zero. */
function percentEncoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}

/** Returns whether a path is in the form that `parseRequestTarget` returns. */
export function isNormalPath(path: string): boolean {
  if (!NEEDS_CARE.test(path)) return true
  try {
    return normalise(path) === path
  } catch {
    return false
  }
}

function refuse(why: string): GatewayError {
  return new GatewayError('bad_request', { cause: new Error(why) })
}
