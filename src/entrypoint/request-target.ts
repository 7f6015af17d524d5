import { GatewayError } from '../errors/gateway-error'

/** A request target (RFC 9112 §3.2), taken apart and made unambiguous. */
export interface RequestTarget {
  readonly path: string
  /** As it came. */
  readonly rawPath: string
  /** A segment has `%2F` in it: only routes that forward paths as they came may take the request. */
  readonly hasEncodedSlash: boolean
  /** With its `?`, or empty. */
  readonly query: string
  /** Host name without port, lower case; empty when the request named none. */
  readonly host: string
}

/** The target of an `OPTIONS` that is about no resource (RFC 9112 §3.2.4), and its path. */
export const WHOLE_SERVER = '*'

const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i
/** Anything that two servers could read differently; nearly no path has it, so nearly no path pays for the rest. */
const NEEDS_CARE = /\/\/|\/\.|[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/
/** Encoded slash, backslash or NUL: one server takes them for a separator, the next for a character. */
const AMBIGUOUS_ESCAPE = /%(?:2f|5c|00)/i
/** The same without the slash. */
const UNREADABLE_ESCAPE = /%(?:5c|00)/i
const ESCAPE = /%([0-9a-f]{2})?/gi
const UNRESERVED = /[a-z0-9\-._~]/i
/** What RFC 3986 does not allow in a path, and Node does. */
const UNESCAPED = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]/g
/** Also with a parameter: some servers cut `;…` off a segment before they look at it. */
const DOT_SEGMENT = /\/\.{1,2}(?:[/;]|%3b|$)/i

/**
 * One rule for paths: what is matched is what is forwarded. Escapes of unreserved characters are decoded (RFC 3986
 * §6.2.2.2), characters that need an escape get one, repeated slashes become one; whatever two servers could read
 * differently (`.` and `..` segments, `%2f`, `%5c`, `%00`, backslash, fragment, broken escapes) is refused, because a
 * route's limits must not be walked around. For people, with examples that are tests: docs/configuration.md.
 *
 * @param takesEncodedSlashes a route takes `%2F`: it is left in its segment
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

/** Of a target that was refused, for log and span: what can be said without secrets, and without taking it for a path. */
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

/** It may hold a user's name and password. */
const AUTHORITY = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i
const MAX_DESCRIBED = 1_024

function parseHost(header: string | undefined): string {
  const host = hostNameOf(header)
  if (host === undefined) throw refuse('invalid Host')
  return host
}

/** The name in `Host`, lower case, without port; empty where there is none, undefined where it is malformed. */
export function hostNameOf(header: string | undefined): string | undefined {
  if (header === undefined || header === '') return ''
  if (!HOST.test(header)) return undefined
  const colon = header.lastIndexOf(':')
  const name = colon > header.lastIndexOf(']') ? header.slice(0, colon) : header
  // `shop.example.` is the same host as `shop.example`, and must not be a way around its routes.
  return (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase()
}

/** Absolute form (RFC 9112 §3.2.2) is what a client sends to a proxy; its authority must be the one it asked for. */
function toOriginForm(url: string, hostHeader: string | undefined): string {
  const match = /^https?:\/\/([^/?#]*)(.*)$/i.exec(url)
  if (!match) throw refuse('request target is neither a path nor an http URL')
  const [, authority = '', rest = ''] = match
  if (authority.toLowerCase() !== hostHeader?.toLowerCase()) throw refuse('request target and Host disagree')
  return rest.startsWith('/') ? rest : `/${rest}`
}

function normalise(path: string, hasEncodedSlash = false): string {
  const ambiguous = hasEncodedSlash ? UNREADABLE_ESCAPE : AMBIGUOUS_ESCAPE
  if (/[\\#\0]/.test(path) || ambiguous.test(path)) throw refuse('ambiguous path')
  const decoded = path.replace(ESCAPE, (escape, hex: string | undefined) => {
    if (hex === undefined) throw refuse('broken escape in the path')
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return UNRESERVED.test(character) ? character : escape.toUpperCase()
  })
  const merged = decoded.replace(/\/{2,}/g, '/')
  // Whoever decodes the slash finds a segment there.
  if (DOT_SEGMENT.test(hasEncodedSlash ? merged.replaceAll('%2F', '/') : merged))
    throw refuse('dot segment in the path')
  return merged.replace(UNESCAPED, character => percentEncoded(character))
}

/** A tab and a form feed, which Node lets through, need the zero. */
function percentEncoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}

/** Whether a path is written as `parseRequestTarget` would have it. */
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
