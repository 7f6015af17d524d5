import type { EntrypointConfig } from '../config/types'
import type { Exchange } from '../exchange/exchange'
import { forwardedElement } from '../exchange/forwarded'
import { drops, type HeaderEdits } from '../exchange/header-edits'
import { plainAddress, schemeOf } from '../exchange/peer'
import { replacedTraceFields } from '../telemetry/trace-fields'

/** Fields that belong to one connection (RFC 9110 §7.6.1), or that the gateway writes or answers itself. */
const NEVER_FORWARDED: ReadonlySet<string> = new Set([
  'connection',
  'expect', // answered here (RFC 9110 §10.1.1)
  'host', // the target's own, the client's goes into X-Forwarded-Host
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer', // trailers of requests are dropped: undici's dispatcher cannot send any
  'transfer-encoding',
  'upgrade',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
])

/**
 * What only a proxy may say of a client: believed by many an upstream, whoever wrote it. With `_` too, because CGI and its
 * heirs (WSGI, Rack, PHP) read `X_Forwarded_For` as `X-Forwarded-For`.
 */
const SAID_BY_PROXIES = /^x[-_](?:forwarded[-_]|real[-_]ip$|consumer[-_])/
/** The same, and every name with `_`: to such an upstream `Content_Length` is `Content-Length`. */
const SAID_BY_PROXIES_OR_AMBIGUOUS = /_|^x-(?:forwarded-|real-ip$|consumer-)/

/**
 * What not even a trusted proxy may say: who asks, which only this gateway knows, and anything with `_`, which no proxy
 * writes: it is the client's, passed on, and would stand beside what the proxy says.
 */
const NOT_SAID_BY_PROXIES = /^x(?:[-_]consumer[-_]|(?=.*_)[-_](?:forwarded[-_]|real[-_]ip$))/

/** Which fields of a request do not reach the upstream. Names are in lower case. */
export interface FieldRules {
  /** From clients that are not trusted proxies. */
  readonly ofStrangers: { readonly names: ReadonlySet<string>; readonly pattern: RegExp }
  readonly ofProxies: { readonly names: ReadonlySet<string>; readonly pattern: RegExp }
}

export function createFieldRules({
  proxyOnlyHeaders,
  underscoreHeaders,
}: Pick<EntrypointConfig, 'proxyOnlyHeaders' | 'underscoreHeaders'>): FieldRules {
  return {
    ofStrangers: {
      names: new Set([...NEVER_FORWARDED, ...proxyOnlyHeaders]),
      pattern: underscoreHeaders ? SAID_BY_PROXIES : SAID_BY_PROXIES_OR_AMBIGUOUS,
    },
    ofProxies: { names: NEVER_FORWARDED, pattern: NOT_SAID_BY_PROXIES },
  }
}

/**
 * Makes the header section for the upstream, as flat name, value pairs.
 *
 * What the client names in `Connection` is removed from the inbound copy before anything of ours is added: the other way
 * round, a client could have the gateway strip the very fields the upstream trusts (CVE-2026-33805).
 *
 * @param prefix what was cut off the front of the path
 * @param replaced trace fields that are written anew afterwards; the client's own must not stand beside them
 */
export function buildRequestHeaders(
  exchange: Exchange,
  rules: FieldRules,
  replaced = replacedTraceFields(),
  prefix?: string,
): string[] {
  const { request, peerIsTrusted } = exchange
  const edits = exchange.route?.requestEdits
  const named = namedInConnection(request.headers.connection)
  const headers: string[] = []
  const { rawHeaders } = request
  const { withheldField, requestIdConfig } = exchange
  const { names, pattern } = peerIsTrusted ? rules.ofProxies : rules.ofStrangers
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase()
    if (names.has(name) || named?.has(name) || replaced.has(name)) continue
    if (name === requestIdConfig?.header || name === withheldField || pattern.test(name)) continue
    if (edits && drops(edits, name)) continue
    if (prefix !== undefined && name === 'x-forwarded-prefix') continue
    headers.push(name, rawHeaders[i + 1] as string)
  }
  if (edits) headers.push(...edits.set, ...edits.added)
  addForwardingHeaders(headers, exchange)
  if (requestIdConfig !== undefined && !isEdited(edits, requestIdConfig.header)) {
    headers.push(requestIdConfig.header, exchange.requestId)
  }
  addAddress(headers, exchange, edits)
  if (prefix !== undefined && !isEdited(edits, 'x-forwarded-prefix')) {
    headers.push('x-forwarded-prefix', prefixOf(exchange) + prefix)
  }
  return headers
}

const KEEP_ALIVE_ONLY = /^(?:keep-alive|close)$/i

/** The fields a `Connection` header names, or nothing: nearly every client sends `keep-alive` and no more. */
export function namedInConnection(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || KEEP_ALIVE_ONLY.test(connection)) return undefined
  return new Set(connection.split(',').map(name => name.trim().toLowerCase()))
}

/** RFC 7239 and its de-facto forerunners. A peer that is not trusted is not continued but replaced. */
function addForwardingHeaders(headers: string[], exchange: Exchange): void {
  const { request, said } = exchange
  const { host } = request.headers
  const peer = said === undefined ? exchange.clientAddress : plainAddress(request.socket.remoteAddress ?? '')
  const scheme = schemeOf(request)
  const forwardedHost = said?.host ?? host
  // Where the proxy names no client, what it says of host and scheme is said of its own request.
  const element =
    said === undefined || said.forwarded !== undefined
      ? `for=${forwardedNode(peer)}${host ? `;host="${host}"` : ''};proto=${scheme}`
      : forwardedElement(peer, forwardedHost, said.proto ?? scheme)
  headers.push(
    'forwarded',
    said?.forwarded === undefined ? element : `${said.forwarded}, ${element}`,
    'x-forwarded-for',
    said?.for === undefined ? peer : `${said.for}, ${peer}`,
    'x-forwarded-proto',
    said?.proto ?? scheme,
    'via', // a gateway must say so (RFC 9110 §7.6.3); the name is a pseudonym, not a host
    `${request.httpVersion} myesi-gateway`,
  )
  if (exchange.consumer !== undefined) headers.push('x-consumer-name', exchange.consumer.name)
  if (forwardedHost) headers.push('x-forwarded-host', forwardedHost) // HTTP/1.0 may name none
}

/** `X-Real-IP` and `X-Forwarded-Port`: those of a trusted proxy are passed on as they came. */
function addAddress(headers: string[], exchange: Exchange, edits: HeaderEdits | undefined): void {
  const { request, said, peerIsTrusted, clientAddress } = exchange
  const { host, 'x-real-ip': realIp, 'x-forwarded-port': port } = request.headers
  if (clientAddress !== '' && !(peerIsTrusted && realIp !== undefined) && !isEdited(edits, 'x-real-ip')) {
    headers.push('x-real-ip', clientAddress)
  }
  if ((peerIsTrusted && port !== undefined) || isEdited(edits, 'x-forwarded-port')) return
  const asked = firstOf(said?.host) ?? host
  if (asked) headers.push('x-forwarded-port', portOf(asked, firstOf(said?.proto) ?? schemeOf(request)))
}

/** The port that the client asked for: a proxy in front may have another than this gateway. */
function portOf(host: string, scheme: string): string {
  const colon = host.lastIndexOf(':')
  if (colon > host.lastIndexOf(']')) return host.slice(colon + 1)
  return scheme === 'https' ? '443' : '80'
}

/** What a trusted proxy has cut off before. */
function prefixOf({ peerIsTrusted, request }: Exchange): string {
  const earlier = peerIsTrusted ? joined(request.headers['x-forwarded-prefix']) : undefined
  return earlier?.replace(/\/+$/, '') ?? ''
}

/** Proxies in a row make a list; the first is the one that the client talks to. */
export function firstOf(list: string | undefined): string | undefined {
  return list?.includes(',') ? (list.split(',', 1)[0] as string).trim() : list
}

/** Whether the route itself says what the field is. */
function isEdited(edits: HeaderEdits | undefined, name: string): boolean {
  return edits !== undefined && (edits.dropped.has(name) || edits.added.includes(name))
}

/** RFC 7239 §6: an IPv6 address goes into brackets, and those into quotes. */
function forwardedNode(address: string): string {
  return address.includes(':') ? `"[${address}]"` : address || 'unknown'
}

/** A field that may have come several times, as one list (RFC 9110 §5.3). */
export function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
