import { METHODS, type IncomingMessage } from 'node:http'
import type { EntrypointConfig } from '../config/types'
import { GatewayError } from '../errors/gateway-error'
import { hasBody } from '../exchange/exchange'
import { HTTP_2 } from './http2-messages'
import { upgradeOf } from './upgrades'

export type RequestLimits = Pick<EntrypointConfig, 'maxUrlBytes' | 'maxHeaderFields'>

/**
 * Refuses requests that Node accepts although they are ambiguous between servers or not supported by the gateway.
 *
 * @throws GatewayError `bad_request`, `uri_too_long`, `header_too_large`, `expectation_failed`, `not_implemented`, `version_not_supported`
 */
export function refuseFaulty(request: IncomingMessage, limits: RequestLimits): void {
  refuseExcess(request, limits)
  refuseVersions(request)
  refuseMethods(request)
  refuseCharacters(request)
  refuseAsterisk(request)
  refuseHosts(request)
  refuseTransferCodings(request)
  refuseLengths(request)
  refuseExpectations(request)
  refuseHandshakes(request)
}

/** Refuses too large requests, before any other work. Node decodes a URL to one character per byte. */
function refuseExcess({ url, rawHeaders }: IncomingMessage, { maxUrlBytes, maxHeaderFields }: RequestLimits): void {
  if (url !== undefined && url.length > maxUrlBytes) throw new GatewayError('uri_too_long')
  const fields = rawHeaders.length / 2
  if (fields > maxHeaderFields) {
    throw new GatewayError('header_too_large', { cause: new Error(`${fields} fields`) })
  }
}

/** Refuses other HTTP versions: Node's parser also accepts `HTTP/0.9` and `HTTP/2.0` with 1.1 framing (RFC 9112 §2.3). */
function refuseVersions({ httpVersionMajor, httpVersion }: IncomingMessage): void {
  if (httpVersionMajor === 1 || httpVersion === HTTP_2) return
  // Also a request line without a version.
  if (httpVersionMajor === 0) throw refuse(`HTTP version ${httpVersion}`)
  throw new GatewayError('version_not_supported', { cause: new Error(`HTTP version ${httpVersion}`) })
}

/**
 * Refuses methods of RTSP and ICE, which Node's parser accepts: their messages look like HTTP but are framed
 * differently.
 */
function refuseMethods({ method }: IncomingMessage): void {
  if (!HTTP_METHODS.has(method as string)) throw notImplemented(`method ${method}`)
}

const HTTP_METHODS: ReadonlySet<string> = new Set(METHODS.filter(method => method !== 'SOURCE' && method !== 'CONNECT'))
/** Methods that the gateway forwards, as a value of `Allow`. */
export const ALLOWED_METHODS = [...HTTP_METHODS].join(', ')

/** Refuses bytes outside ASCII in the URL (RFC 3986 §2). Node's HTTP/1 parser does; nghttp2 accepts them. */
function refuseCharacters({ url = '', httpVersion }: IncomingMessage): void {
  if (httpVersion === HTTP_2 && /[^!-~]/.test(url)) throw refuse('bytes outside ASCII in the URL')
}

/** Refuses the target `*` for all methods but `OPTIONS` (RFC 9112 §3.2.4). */
function refuseAsterisk({ method, url }: IncomingMessage): void {
  if (url === '*' && method !== 'OPTIONS') throw refuse(`${method} *`)
}

/** Refuses several Host fields: Node uses the first, the upstream may use the last (RFC 9112 §3.2). */
function refuseHosts({ rawHeaders, httpVersion }: IncomingMessage): void {
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length !== 4 || name.toLowerCase() !== 'host') continue
    hosts++
    // An http URL without a host is not valid (RFC 9110 §4.2.1).
    if (rawHeaders[i + 1] === '') throw refuse('an empty Host')
  }
  if (hosts > 1) throw refuse('more than one Host')
  if (hosts === 0 && httpVersion !== '1.0') throw refuse('no Host')
}

/**
 * Refuses transfer codings other than `chunked`: Node decodes only that one and drops the others, so the upstream would
 * take a compressed body for a plain one (RFC 9112 §6.1). In HTTP/1.0 any coding is a sign of request smuggling.
 */
function refuseTransferCodings({ headers, httpVersion }: IncomingMessage): void {
  const coding = headers['transfer-encoding']
  if (coding === undefined) return
  if (coding.toLowerCase() === 'chunked' && httpVersion !== '1.0') return
  const isFramed = httpVersion !== '1.0' && CODINGS_BEFORE_CHUNKED.test(coding) && !/chunked.*,/i.test(coding)
  throw isFramed ? notImplemented(`Transfer-Encoding: ${coding}`) : refuse(`Transfer-Encoding: ${coding}`)
}

/** Refuses lengths that JavaScript cannot represent exactly: the upstream would get another length. */
function refuseLengths({ headers }: IncomingMessage): void {
  const length = headers['content-length']
  if (length === undefined || length.length <= LONGEST_EXACT_DIGITS || Number.isSafeInteger(Number(length))) return
  throw refuse(`Content-Length: ${length}`)
}

/** Integers of up to this many digits are exact. */
const LONGEST_EXACT_DIGITS = 15

/** Codings before `chunked`: the end of the body is known, but its coding is not supported (RFC 9112 §6.1). */
const CODINGS_BEFORE_CHUNKED = /^(?:[!#$%&'*+.^_`|~\w-]+[ \t]*,[ \t]*)+chunked$/i

/**
 * Refuses expectations other than `100-continue` (RFC 9110 §10.1.1). HTTP/1.0 has none, so the field is ignored there.
 */
function refuseExpectations(request: IncomingMessage): void {
  const { expect } = request.headers
  // Node treats every list that contains 100-continue as that expectation.
  if (expect === undefined || request.httpVersion === '1.0' || expect.toLowerCase() === '100-continue') return
  throw new GatewayError('expectation_failed', { cause: new Error(`Expect: ${expect}`) })
}

const HANDSHAKE_KEY = /^[A-Za-z0-9+/]{22}==$/

/** Refuses malformed WebSocket handshakes (RFC 6455 §4.2.1). Target and policies are checked as for every request. */
function refuseHandshakes(request: IncomingMessage): void {
  if (upgradeOf(request) === undefined) return
  const { method, headers } = request
  if (method !== 'GET') throw refuse(`Upgrade: websocket with ${method}`)
  if (hasBody(request)) throw refuse('Upgrade: websocket with a body')
  const key = headers['sec-websocket-key']
  if (key === undefined || !HANDSHAKE_KEY.test(key)) throw refuse(`Sec-WebSocket-Key: ${key}`)
  const version = headers['sec-websocket-version']
  // The refusal names the supported version (§4.4).
  if (version !== '13') throw refuse(`Sec-WebSocket-Version: ${version}`, ['Sec-WebSocket-Version', '13'])
}

function notImplemented(what: string): GatewayError {
  return new GatewayError('not_implemented', { cause: new Error(what) })
}

function refuse(why: string, headers: readonly string[] = []): GatewayError {
  return new GatewayError('bad_request', { cause: new Error(why), headers })
}
