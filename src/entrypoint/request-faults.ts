import { METHODS, type IncomingMessage } from 'node:http'
import type { EntrypointConfig } from '../config/types'
import { GatewayError } from '../errors/gateway-error'
import { hasBody } from '../exchange/exchange'
import { HTTP_2 } from './http2-messages'
import { upgradeOf } from './upgrades'

export type RequestLimits = Pick<EntrypointConfig, 'maxUrlBytes' | 'maxHeaderFields'>

/**
 * Refuses what Node lets through although two servers could read it differently, or the gateway cannot do it.
 *
 * @throws GatewayError `bad_request`, `uri_too_long`, `header_too_large`, `expectation_failed`, `not_implemented`, `version_not_supported`
 */
export function refuseFaulty(request: IncomingMessage, limits: RequestLimits): void {
  refuseExcess(request, limits)
  refuseVersions(request)
  refuseMethods(request)
  refuseAsterisk(request)
  refuseHosts(request)
  refuseTransferCodings(request)
  refuseLengths(request)
  refuseExpectations(request)
  refuseHandshakes(request)
}

/** First, so that nothing else is done for what is too much. Node reads a URL one character per byte. */
function refuseExcess({ url, rawHeaders }: IncomingMessage, { maxUrlBytes, maxHeaderFields }: RequestLimits): void {
  if (url !== undefined && url.length > maxUrlBytes) throw new GatewayError('uri_too_long')
  const fields = rawHeaders.length / 2
  if (fields > maxHeaderFields) {
    throw new GatewayError('header_too_large', { cause: new Error(`${fields} fields`) })
  }
}

/** Node's parser also takes `HTTP/0.9` and `HTTP/2.0` on the request line, in the framing of 1.1 (RFC 9112 §2.3). */
function refuseVersions({ httpVersionMajor, httpVersion }: IncomingMessage): void {
  if (httpVersionMajor === 1 || httpVersion === HTTP_2) return
  // Also a request line that has no version at all.
  if (httpVersionMajor === 0) throw refuse(`HTTP version ${httpVersion}`)
  throw new GatewayError('version_not_supported', { cause: new Error(`HTTP version ${httpVersion}`) })
}

/** Node's parser also takes RTSP and ICE, whose messages look like those of HTTP and are framed otherwise. */
function refuseMethods({ method }: IncomingMessage): void {
  if (!HTTP_METHODS.has(method as string)) throw notImplemented(`method ${method}`)
}

const HTTP_METHODS: ReadonlySet<string> = new Set(METHODS.filter(method => method !== 'SOURCE' && method !== 'CONNECT'))
/** What the gateway forwards, as `Allow` says it. */
export const ALLOWED_METHODS = [...HTTP_METHODS].join(', ')

/** Only `OPTIONS` may be about the whole server (RFC 9112 §3.2.4). */
function refuseAsterisk({ method, url }: IncomingMessage): void {
  if (url === '*' && method !== 'OPTIONS') throw refuse(`${method} *`)
}

/** Node takes the first of several Host fields without a word, the upstream may take the last (RFC 9112 §3.2). */
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
 * Node undoes `chunked` and drops the rest: the upstream would take a compressed body for a plain one (RFC 9112 §6.1).
 * HTTP/1.0 knows no codings; whoever sends one there wants to be read in two ways.
 */
function refuseTransferCodings({ headers, httpVersion }: IncomingMessage): void {
  const coding = headers['transfer-encoding']
  if (coding === undefined) return
  if (coding.toLowerCase() === 'chunked' && httpVersion !== '1.0') return
  const isFramed = httpVersion !== '1.0' && CODINGS_BEFORE_CHUNKED.test(coding) && !/chunked.*,/i.test(coding)
  throw isFramed ? notImplemented(`Transfer-Encoding: ${coding}`) : refuse(`Transfer-Encoding: ${coding}`)
}

/** A number that JavaScript rounds would be another length on its way to the upstream. */
function refuseLengths({ headers }: IncomingMessage): void {
  const length = headers['content-length']
  if (length === undefined || length.length <= LONGEST_EXACT_DIGITS || Number.isSafeInteger(Number(length))) return
  throw refuse(`Content-Length: ${length}`)
}

/** Whole numbers of so many digits are exact. */
const LONGEST_EXACT_DIGITS = 15

/** Where the body ends is clear, and only what is in it is not (RFC 9112 §6.1). */
const CODINGS_BEFORE_CHUNKED = /^(?:[!#$%&'*+.^_`|~\w-]+[ \t]*,[ \t]*)+chunked$/i

/** `100-continue` is the only expectation there is (RFC 9110 §10.1.1). HTTP/1.0 has none, and is not to be disappointed. */
function refuseExpectations(request: IncomingMessage): void {
  const { expect } = request.headers
  // Node takes any list that has it somewhere for 100-continue.
  if (expect === undefined || request.httpVersion === '1.0' || expect.toLowerCase() === '100-continue') return
  throw new GatewayError('expectation_failed', { cause: new Error(`Expect: ${expect}`) })
}

const HANDSHAKE_KEY = /^[A-Za-z0-9+/]{22}==$/

/** A client's opening handshake (RFC 6455 §4.2.1). Its target, and whether it may pass, are looked at as for any request. */
function refuseHandshakes(request: IncomingMessage): void {
  if (upgradeOf(request) === undefined) return
  const { method, headers } = request
  if (method !== 'GET') throw refuse(`Upgrade: websocket with ${method}`)
  if (hasBody(request)) throw refuse('Upgrade: websocket with a body')
  const key = headers['sec-websocket-key']
  if (key === undefined || !HANDSHAKE_KEY.test(key)) throw refuse(`Sec-WebSocket-Key: ${key}`)
  const version = headers['sec-websocket-version']
  // Which one would do is said along with it (§4.4).
  if (version !== '13') throw refuse(`Sec-WebSocket-Version: ${version}`, ['Sec-WebSocket-Version', '13'])
}

function notImplemented(what: string): GatewayError {
  return new GatewayError('not_implemented', { cause: new Error(what) })
}

function refuse(why: string, headers: readonly string[] = []): GatewayError {
  return new GatewayError('bad_request', { cause: new Error(why), headers })
}
