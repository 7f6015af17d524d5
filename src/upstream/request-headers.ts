import type { Socket } from 'node:net'
import { clientCertificateOf } from '../certificates/client-certificate'
import type { EntrypointConfig } from '../config/types'
import type { Exchange } from '../exchange/exchange'
import { forwardedElement } from '../exchange/forwarded'
import { drops, type HeaderEdits } from '../exchange/header-edits'
import { plainAddress, schemeOf } from '../exchange/peer'
import { replacedTraceFields } from '../telemetry/trace-fields'

/** Fields that belong to one connection (RFC 9110 §7.6.1), or that the gateway writes or answers itself. */
const NEVER_FORWARDED: ReadonlySet<string> = new Set([
  'connection',
  'expect', // answered by the gateway (RFC 9110 §10.1.1)
  'host', // set per target; the client's is sent as X-Forwarded-Host
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer', // request trailers are dropped, because undici's dispatcher cannot send them
  'transfer-encoding',
  'upgrade',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
])

/**
 * Fields about the client that only a proxy may set, because upstreams trust them. Spellings with `_` match as well:
 * CGI and its successors (WSGI, Rack, PHP) read `X_Forwarded_For` as `X-Forwarded-For`.
 */
const SAID_BY_PROXIES = /^x[-_](?:forwarded[-_]|real[-_]ip$|consumer[-_])/
/** The same, and every name with `_`: such an upstream reads `Content_Length` as `Content-Length`. */
const SAID_BY_PROXIES_OR_AMBIGUOUS = /_|^x-(?:forwarded-|real-ip$|consumer-)/

/**
 * Fields that are removed even from trusted proxies: the consumer, which only this gateway determines, and forwarding
 * fields spelled with `_`. No proxy writes those; they come from the client and would contradict the proxy's.
 */
const NOT_SAID_BY_PROXIES = /^x(?:[-_]consumer[-_]|(?=.*_)[-_](?:forwarded[-_]|real[-_]ip$))/

/** Fields of RFC 9440, which only the server of the client's TLS connection may set; also spelled with `_`. */
const OF_THE_CERTIFICATE = /^client[-_]cert(?:[-_]chain)?$/

/** Selects the request fields that are not forwarded to the upstream. Names are in lower case. */
interface NameRules {
  readonly names: ReadonlySet<string>
  readonly pattern: RegExp
}

export interface FieldRules {
  /** Rules for clients that are not trusted proxies. */
  readonly ofStrangers: FieldNames
  readonly ofProxies: FieldNames
  /** Whether the client's certificate is forwarded. */
  readonly forwardsCertificate: boolean
}

/** A field name as clients spell it, judged once. */
interface FieldName {
  readonly lower: string
  readonly isForwarded: boolean
}

/** Maximum spellings that are remembered; clients choose them. */
const MAX_KNOWN_NAMES = 1_000
/** Longer names are not remembered. */
const MAX_KNOWN_CHARACTERS = 64

/** Judges field names, and remembers those that came lately: most requests carry the same ones. */
class FieldNames {
  readonly #rules: NameRules
  readonly #known = new Map<string, FieldName>()

  constructor(rules: NameRules) {
    this.#rules = rules
  }

  get(spelled: string): FieldName {
    return this.#known.get(spelled) ?? this.#classify(spelled)
  }

  #classify(spelled: string): FieldName {
    const lower = spelled.toLowerCase()
    const { names, pattern } = this.#rules
    const name = { lower, isForwarded: !names.has(lower) && !pattern.test(lower) }
    if (this.#known.size >= MAX_KNOWN_NAMES) this.#known.clear()
    if (spelled.length <= MAX_KNOWN_CHARACTERS) this.#known.set(spelled, name)
    return name
  }
}

/** Rules by configuration: all routes share the names that they remember. */
const rulesOf = new WeakMap<object, FieldRules>()

export function createFieldRules(
  entrypoint: Pick<EntrypointConfig, 'proxyOnlyHeaders' | 'underscoreHeaders'> & Partial<Pick<EntrypointConfig, 'tls'>>,
): FieldRules {
  let rules = rulesOf.get(entrypoint)
  if (rules === undefined) {
    const { proxyOnlyHeaders, underscoreHeaders, tls } = entrypoint
    const clientCertificates = tls?.clientCertificates
    // Where the gateway itself asks for certificates, a proxy cannot know the client's.
    const orCertificate = (pattern: RegExp): RegExp =>
      clientCertificates === undefined ? pattern : new RegExp(`${pattern.source}|${OF_THE_CERTIFICATE.source}`)
    rules = {
      ofStrangers: new FieldNames({
        names: new Set([...NEVER_FORWARDED, ...proxyOnlyHeaders]),
        pattern: orCertificate(underscoreHeaders ? SAID_BY_PROXIES : SAID_BY_PROXIES_OR_AMBIGUOUS),
      }),
      ofProxies: new FieldNames({ names: NEVER_FORWARDED, pattern: orCertificate(NOT_SAID_BY_PROXIES) }),
      forwardsCertificate: clientCertificates?.forward === true,
    }
    rulesOf.set(entrypoint, rules)
  }
  return rules
}

/**
 * Builds the header section for the upstream, as flat name, value pairs.
 *
 * Fields that the client names in `Connection` are removed before the gateway adds its own. In the reverse order, a
 * client could make the gateway strip the fields that the upstream trusts (CVE-2026-33805).
 *
 * @param prefix the prefix that was removed from the path
 * @param replaced trace fields that the gateway sets afterwards; those of the client are removed
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
  const names = peerIsTrusted ? rules.ofProxies : rules.ofStrangers
  const requestIdField = requestIdConfig?.header
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const { lower: name, isForwarded } = names.get(rawHeaders[i] as string)
    if (!isForwarded || named?.has(name) || replaced.has(name)) continue
    if (name === requestIdField || name === withheldField) continue
    if (edits && drops(edits, name)) continue
    if (prefix !== undefined && name === 'x-forwarded-prefix') continue
    headers.push(name, rawHeaders[i + 1] as string)
  }
  if (edits) headers.push(...edits.set, ...edits.added)
  const { proxyForwarding } = exchange
  const peer = proxyForwarding === undefined ? peerFieldsOf(exchange) : undefined
  if (peer === undefined) addForwardingHeaders(headers, exchange)
  else addPeer(headers, exchange, peer)
  if (requestIdField !== undefined && !isEdited(edits, requestIdField)) {
    headers.push(requestIdField, exchange.requestId)
  }
  if (peer === undefined || edits !== undefined || peerIsTrusted) addAddress(headers, exchange, edits)
  else headers.push('x-real-ip', peer.address, 'x-forwarded-port', peer.port)
  if (rules.forwardsCertificate && !isEdited(edits, 'client-cert')) {
    const certificate = clientCertificateOf(request)
    if (certificate !== undefined) headers.push('client-cert', certificate.field)
  }
  if (prefix !== undefined && !isEdited(edits, 'x-forwarded-prefix')) {
    headers.push('x-forwarded-prefix', prefixOf(exchange) + prefix)
  }
  return headers
}

const KEEP_ALIVE_ONLY = /^(?:keep-alive|close)$/i

/** Returns the fields named in `Connection`; undefined for the usual `keep-alive` alone. */
export function namedInConnection(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || KEEP_ALIVE_ONLY.test(connection)) return undefined
  return new Set(connection.split(',').map(name => name.trim().toLowerCase()))
}

/**
 * Adds `Forwarded` (RFC 7239) and the `X-Forwarded-*` fields. Values of an untrusted peer are replaced, not extended.
 */
function addForwardingHeaders(headers: string[], exchange: Exchange): void {
  const { request, proxyForwarding } = exchange
  const { host } = request.headers
  const peer = proxyForwarding === undefined ? exchange.clientAddress : plainAddress(request.socket.remoteAddress ?? '')
  const scheme = schemeOf(request)
  const forwardedHost = proxyForwarding?.host ?? host
  // If the proxy names no client, its host and scheme describe the proxy's own request.
  const element =
    proxyForwarding === undefined || proxyForwarding.forwarded !== undefined
      ? `for=${forwardedNode(peer)}${host ? `;host="${host}"` : ''};proto=${scheme}`
      : forwardedElement(peer, forwardedHost, proxyForwarding.proto ?? scheme)
  headers.push(
    'forwarded',
    proxyForwarding?.forwarded === undefined ? element : `${proxyForwarding.forwarded}, ${element}`,
    'x-forwarded-for',
    proxyForwarding?.for === undefined ? peer : `${proxyForwarding.for}, ${peer}`,
    'x-forwarded-proto',
    proxyForwarding?.proto ?? scheme,
    'via',
    viaOf(request.httpVersion),
  )
  if (exchange.consumer !== undefined) headers.push('x-consumer-name', exchange.consumer.name)
  if (forwardedHost) headers.push('x-forwarded-host', forwardedHost) // absent in some HTTP/1.0 requests
}

/** Values of the forwarding fields, the same for all requests of a connection to one host. */
interface PeerFields {
  readonly address: string
  readonly host: string
  readonly httpVersion: string
  readonly forwarded: string
  readonly scheme: string
  readonly via: string
  readonly port: string
}

const peerFields = new WeakMap<Socket, PeerFields>()

/**
 * Returns the values for a client that is not a trusted proxy, cached with its connection. Undefined for a request without
 * an address or Host, which is rare.
 */
function peerFieldsOf({ request, clientAddress: address }: Exchange): PeerFields | undefined {
  const { socket, httpVersion } = request
  const { host } = request.headers
  if (host === undefined || host === '' || address === '') return undefined
  const known = peerFields.get(socket)
  if (known?.host === host && known.address === address && known.httpVersion === httpVersion) return known
  const scheme = schemeOf(request)
  const forwarded = `for=${forwardedNode(address)};host="${host}";proto=${scheme}`
  const via = viaOf(httpVersion)
  const fields = { address, host, httpVersion, forwarded, scheme, via, port: portOf(host, scheme) }
  peerFields.set(socket, fields)
  return fields
}

/** Does the same as `addForwardingHeaders`. */
function addPeer(headers: string[], { consumer }: Exchange, peer: PeerFields): void {
  const { forwarded, address, scheme, via } = peer
  headers.push('forwarded', forwarded, 'x-forwarded-for', address, 'x-forwarded-proto', scheme, 'via', via)
  if (consumer !== undefined) headers.push('x-consumer-name', consumer.name)
  headers.push('x-forwarded-host', peer.host)
}

/** A field that a gateway must send (RFC 9110 §7.6.3); the name is a pseudonym, not a host. */
function viaOf(httpVersion: string): string {
  return `${httpVersion} myesi-gateway`
}

/** Adds `X-Real-IP` and `X-Forwarded-Port`. Those of a trusted proxy are forwarded unchanged. */
function addAddress(headers: string[], exchange: Exchange, edits: HeaderEdits | undefined): void {
  const { request, proxyForwarding, peerIsTrusted, clientAddress } = exchange
  const { host, 'x-real-ip': realIp, 'x-forwarded-port': port } = request.headers
  if (clientAddress !== '' && !(peerIsTrusted && realIp !== undefined) && !isEdited(edits, 'x-real-ip')) {
    headers.push('x-real-ip', clientAddress)
  }
  if ((peerIsTrusted && port !== undefined) || isEdited(edits, 'x-forwarded-port')) return
  const asked = firstOf(proxyForwarding?.host) ?? host
  if (asked) headers.push('x-forwarded-port', portOf(asked, firstOf(proxyForwarding?.proto) ?? schemeOf(request)))
}

/** Returns the port in the client's URL, which may be that of a proxy in front of the gateway. */
function portOf(host: string, scheme: string): string {
  const colon = host.lastIndexOf(':')
  if (colon > host.lastIndexOf(']')) return host.slice(colon + 1)
  return scheme === 'https' ? '443' : '80'
}

/** Returns the prefix that a trusted proxy has removed before. */
function prefixOf({ peerIsTrusted, request }: Exchange): string {
  const earlier = peerIsTrusted ? joined(request.headers['x-forwarded-prefix']) : undefined
  return earlier?.replace(/\/+$/, '') ?? ''
}

/** Returns the first member of a list. In a chain of proxies, it is from the one that the client is connected to. */
export function firstOf(list: string | undefined): string | undefined {
  return list?.includes(',') ? (list.split(',', 1)[0] as string).trim() : list
}

/** Whether the route removes or sets the field. */
function isEdited(edits: HeaderEdits | undefined, name: string): boolean {
  return edits !== undefined && (edits.dropped.has(name) || edits.added.includes(name))
}

/** Formats an address for `Forwarded`: an IPv6 address in brackets and quotes (RFC 7239 §6). */
function forwardedNode(address: string): string {
  return address.includes(':') ? `"[${address}]"` : address || 'unknown'
}

/** Joins the values of a repeated field to one list (RFC 9110 §5.3). */
export function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
