import { refuse, notText, type Parse, type Parsed } from './parsed'

export interface HeaderField {
  /** Lower case. */
  readonly name: string
  readonly value: string
}

/** A field name (RFC 9110 §5.1). */
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"
export const HEADER_NAME_PATTERN = `^${TOKEN}$`
const HEADER_NAME = new RegExp(HEADER_NAME_PATTERN)

/** A field value (RFC 9110 §5.5), ASCII only: Node and other programs may read other bytes differently. */
export const HEADER_VALUE_PATTERN = '^[!-~](?:[ \\t!-~]*[!-~])?$'
const HEADER_VALUE = new RegExp(HEADER_VALUE_PATTERN)

const NAME_ALLOWED = 'the name of a header field, such as x-tenant'
const VALUE_ALLOWED = 'visible ASCII characters, with spaces between them'

/** Returns why a lower-case name is rejected; undefined if it is accepted. */
type Objection = (name: string) => string | undefined

/** Parses a name and returns it in lower case: names are case-insensitive (RFC 9110 §5.1). */
function headerName(objection: Objection): Parse<string> {
  return function parseHeaderName(found) {
    if (typeof found !== 'string') return notText(found, NAME_ALLOWED)
    if (!HEADER_NAME.test(found)) {
      const trimmed = found.replace(/:?\s*$/, '').trim()
      return refuse('is not a field name', NAME_ALLOWED, HEADER_NAME.test(trimmed) ? trimmed : undefined)
    }
    const name = found.toLowerCase()
    const fault = objection(name)
    return fault === undefined ? { value: name } : refuse(fault, NAME_ALLOWED)
  }
}

/** Fields of one connection or of message framing (RFC 9110 §7.6.1, RFC 9112 §6). */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Forwarding fields. In CGI and similar interfaces `X_Forwarded_For` is the same as `X-Forwarded-For`. */
const SAID_BY_PROXIES = /^(?:forwarded|x[-_]forwarded[-_].*|x[-_]real[-_]ip)$/

/** Fields in which the gateway tells upstreams the consumer; those sent by a client are removed. */
const OF_THE_CONSUMER = /^x[-_]consumer[-_]/
/** Fields of the WebSocket handshake between the two ends (RFC 6455 §11.3). */
const OF_THE_HANDSHAKE = /^sec-websocket-/

/** Parses a name that a page may send or read (CORS). */
export const parseCorsHeaderName = headerName(name =>
  name === '*'
    ? 'means every field only without credentials; leave the key out to allow all that are requested'
    : undefined,
)

/** Parses a name in `match.headers`. */
export const parseConditionName = headerName(name => {
  if (name === 'host') return 'is set with "host", beside "headers"'
  if (OF_THE_CONNECTION.has(name)) return 'belongs to the connection, and says nothing about the request'
  if (OF_THE_CONSUMER.test(name)) return 'is written by the gateway itself, and not known yet'
  if (SAID_BY_PROXIES.test(name)) return 'is meant for proxies, and clients can forge it'
  return undefined
})

/**
 * Fields that some proxies, frameworks or CGI programs trust and that a client can forge: the address, the user, or the
 * URL of the request (`Proxy` is CVE-2016-5385).
 */
export const PROXY_ONLY_HEADERS: readonly string[] = [
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'client-cert',
  'client-cert-chain',
  'client-ip',
  'fastly-client-ip',
  'front-end-https',
  'proxy',
  'remote-addr',
  'remote-user',
  'true-client-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-envoy-external-address',
  'x-mirrored',
  'x-original-forwarded-for',
  'x-original-host',
  'x-original-url',
  'x-remote-user',
  'x-rewrite-url',
  'x-scheme',
  'x-url-scheme',
]

/** Parses a name under `entrypoint.proxyOnlyHeaders`. */
export const parseProxyOnlyName = headerName(name => {
  if (name === 'host') return 'is in every request'
  if (OF_THE_CONNECTION.has(name)) return 'belongs to the connection, and is never forwarded'
  return undefined
})

/** Parses a name under `entrypoint.requestId`. */
export const parseIdHeaderName = headerName(name => {
  if (OF_THE_CONNECTION.has(name)) return 'belongs to the connection or to the framing of the message'
  if (MEANS_MORE.test(name) || /^(?:set-cookie|location|via)$/.test(name)) return 'has a fixed meaning'
  if (WRITTEN_HERE.test(name) || SAID_BY_PROXIES.test(name))
    return 'is meant for gateways, which describe clients with it'
  return OF_THE_TRACE.test(name) ? 'carries the trace of requests' : undefined
})

/** Fields that the gateway sets in every request. */
const WRITTEN_HERE = /^(?:forwarded|x[-_]forwarded[-_](?:for|host|proto)|x[-_]consumer[-_].*|via)$/
const OF_THE_TRACE = /^(?:traceparent|tracestate|baggage|b3|x[-_]b3[-_].*|uber-trace-id|x-amzn-trace-id)$/

/** Parses a name under `requestHeaders`. */
export const parseRequestEditName = headerName(name => {
  if (name === 'host') return 'is set with "host", beside "requestHeaders"'
  if (name === 'expect') return 'is answered by the gateway itself'
  if (name === 'proxy-authorization') return 'is never forwarded'
  if (OF_THE_CONNECTION.has(name)) return 'belongs to the connection or to the framing of the message'
  if (OF_THE_HANDSHAKE.test(name)) return 'belongs to the handshake of WebSockets'
  if (WRITTEN_HERE.test(name)) return 'is written by the gateway itself'
  if (OF_THE_TRACE.test(name)) return 'carries the trace, which the gateway writes itself'
  return undefined
})

/** Parses a name under `responseHeaders` or of a fixed response. */
export const parseResponseEditName = headerName(name => {
  if (OF_THE_CONNECTION.has(name)) return 'belongs to the connection or to the framing of the message'
  if (OF_THE_HANDSHAKE.test(name)) return 'belongs to the handshake of WebSockets'
  if (name === 'ratelimit' || name === 'ratelimit-policy') return 'belongs to the rate limits of the gateway'
  return undefined
})

const MEANS_MORE = /^(?:authorization|content-.*|cookie|expect|host|proxy-.*)$/

/** Parses the field in which clients send their API key. */
export const parseCredentialName = headerName(name => {
  if (OF_THE_CONNECTION.has(name)) return 'belongs to the connection or to the framing of the message'
  if (MEANS_MORE.test(name)) return 'has a fixed meaning and cannot hold a key'
  if (WRITTEN_HERE.test(name) || SAID_BY_PROXIES.test(name))
    return 'is meant for gateways, which describe clients with it'
  if (OF_THE_TRACE.test(name)) return 'carries the trace'
  return undefined
})

/** Parses the name of a request field that says who the client is; the client's own fields of that name are removed. */
export const parseIdentityName = headerName(name => {
  if (OF_THE_CONNECTION.has(name)) return 'belongs to the connection, or says where the message ends'
  if (MEANS_MORE.test(name)) return 'has a meaning of its own'
  if (OF_THE_HANDSHAKE.test(name)) return 'belongs to the handshake of WebSockets'
  if (WRITTEN_HERE.test(name) || /^x[-_](?:forwarded[-_](?:port|prefix)|real[-_]ip)$/.test(name)) {
    return 'is what the gateway itself says of clients'
  }
  return OF_THE_TRACE.test(name) ? 'carries the trace' : undefined
})

/** Parses the name of a field that an external authorizer gets, or that it names the consumer in. */
export const parseAuthorizerName = headerName(name => {
  if (OF_THE_CONNECTION.has(name) || /^(?:content-.*|expect)$/.test(name))
    return 'belongs to the connection or the body'
  if (name === 'host' || SAID_BY_PROXIES.test(name)) return 'is always sent, as X-Forwarded-*'
  if (name === 'proxy-authorization' || WRITTEN_HERE.test(name))
    return 'is what the gateway itself says, or never forwarded'
  if (OF_THE_HANDSHAKE.test(name)) return 'belongs to the handshake of WebSockets'
  return OF_THE_TRACE.test(name) ? 'carries the trace, which the gateway writes itself' : undefined
})

/** Parses the name of a field of an external authorizer's answer, for the upstream. */
export const parseVouchedName = headerName(name => {
  // An authorizer may exchange a session for a token.
  if (name === 'authorization') return undefined
  const parsed = parseIdentityName(name)
  return 'mistake' in parsed ? parsed.mistake.problem : undefined
})

/** Parses the name of a field of an external authorizer's answer, for the client. */
export const parseClientAnswerName = headerName(name => {
  if (OF_THE_CONNECTION.has(name) || name === 'content-encoding') return 'belongs to the connection or the body'
  if (OF_THE_HANDSHAKE.test(name)) return 'belongs to the handshake of WebSockets'
  return name.startsWith('ratelimit') ? 'is what the gateway says of its limits' : undefined
})

/** Parses a value that is compared or sent exactly as written. */
export function parseHeaderValue(found: unknown): Parsed<string> {
  if (typeof found === 'number' || typeof found === 'boolean') {
    return refuse('is not text', VALUE_ALLOWED, `"${found}"`)
  }
  if (typeof found !== 'string') return notText(found, VALUE_ALLOWED)
  if (found === '') return refuse('has nothing in it', VALUE_ALLOWED)
  if (/[\r\n\0]/.test(found)) return refuse('contains a line break or NUL, which would end the field', VALUE_ALLOWED)
  if (/^\s|\s$/.test(found)) return refuse('has spaces around it, which are not part of a value', VALUE_ALLOWED)
  if (!HEADER_VALUE.test(found)) return refuse('has characters that a field cannot have', VALUE_ALLOWED)
  return found.length > 4_096 ? refuse('is longer than 4096 characters', VALUE_ALLOWED) : { value: found }
}

const BODY_ALLOWED = 'text'

/** Parses the body of a fixed response. */
export function parseBody(found: unknown): Parsed<string> {
  if (typeof found === 'object' && found !== null) return refuse('is not text', 'text; JSON in quotes or behind |')
  if (typeof found !== 'string') return notText(found, BODY_ALLOWED)
  return found === '' ? refuse('has nothing in it', `${BODY_ALLOWED}; or leave "body" out`) : { value: found }
}

/** Converts a map of the file to fields, sorted by name. */
export function toFields(map: Readonly<Record<string, string>> = {}): HeaderField[] {
  const fields = Object.entries(map).map(([name, value]) => ({ name, value }))
  return fields.sort((a, b) => (a.name < b.name ? -1 : 1))
}
