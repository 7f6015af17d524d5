import { validateHeaderName, validateHeaderValue, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { GatewayError } from '../errors/gateway-error'
import type { Exchange } from '../exchange/exchange'
import { addLimitFields, addMissingLimitFields, editAnswer, type HeaderEdits } from '../exchange/header-edits'
import { addRequestId, answersWithTrace } from '../exchange/request-id'
import { joined, namedInConnection } from './request-headers'
import { translateHost } from './translate-host'

/** Fields as parsed by undici, with names in lower case. */
export type ParsedHeaders = Readonly<Record<string, string | string[] | undefined>>

/** Fields that belong to the upstream's connection (RFC 9110 §7.6.1). Framing towards the client is Node's own. */
const NEVER_RETURNED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/**
 * Rejects transfer codings other than `chunked`. The gateway decodes only `chunked`; a body with another coding would
 * reach the client without the field that names it (RFC 9112 §6.1).
 *
 * @throws GatewayError `bad_response`
 */
export function refuseTransferCodings(coding: string | undefined): void {
  if (coding === undefined || coding.toLowerCase() === 'chunked') return
  throw new GatewayError('bad_response', { cause: new Error(`Transfer-Encoding: ${coding}`) })
}

/**
 * Builds the client's header section from that of the upstream and the fields of the gateway and the route.
 *
 * @param translatedHost the host that the upstream received in place of the client's
 */
export function fieldsForClient(
  exchange: Exchange,
  controller: Dispatcher.DispatchController,
  statusCode: number,
  headers: ParsedHeaders,
  translatedHost: string | undefined,
): string[] {
  const { request, route, corsFields, hooks, ownCookies, limitFields } = exchange
  const edits = route?.responseEdits
  const trailers = headers['trailer'] === undefined || takesTrailers(request, statusCode, headers)
  const fields = buildResponseHeaders(exchange, controller, statusCode, headers, trailers)
  if (translatedHost !== undefined) translateHost(fields, headers, translatedHost, exchange)
  addOwnLimits(fields, limitFields, headers)
  if (corsFields) fields.push(...corsFields)
  if (edits) editAnswer(fields, edits, limitFields)
  if (ownCookies !== undefined) for (const cookie of ownCookies) fields.push('Set-Cookie', cookie)
  addRequestId(fields, exchange)
  if (hooks !== undefined) for (const hook of hooks.onResponse) hook(exchange, { status: statusCode, fields })
  addMissingLimitFields(fields, limitFields)
  return fields
}

/** Whether the framing can carry trailers. If not, Node refuses to write a `Trailer` field. */
function takesTrailers(request: IncomingMessage, statusCode: number, headers: ParsedHeaders): boolean {
  if (request.httpVersion === '1.0' || request.method === 'HEAD') return false
  return statusCode !== 204 && statusCode !== 304 && headers['content-length'] === undefined
}

/**
 * Filters the upstream's header section: flat name, value pairs with spelling and duplicates (`Set-Cookie`) kept.
 *
 * @param parsed the same section as undici parsed it, whose values are not decoded a second time
 * @param trailers whether a `Trailer` field is allowed
 */
export function buildResponseHeaders(
  exchange: Exchange,
  { rawHeaders }: Dispatcher.DispatchController,
  statusCode: number,
  parsed: ParsedHeaders,
  trailers: boolean,
): string[] {
  const raw = (rawHeaders ?? []) as readonly (Buffer | string)[] // as undici read them, bytes in latin1
  const { route, corsFields, requestIdConfig } = exchange
  const dropped = route?.responseEdits?.dropped
  const traceHeader = answersWithTrace(exchange) ? requestIdConfig?.traceHeader : undefined
  const named = namedInConnection(joined(parsed['connection']))
  const requestIdField = requestIdConfig?.header
  const headers: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const { name, lower, isReturned } = nameOf(raw[i] as Buffer | string)
    if (!isReturned || named?.has(lower) || dropped?.has(lower)) continue
    if (lower === requestIdField || lower === traceHeader) continue
    if (corsFields !== undefined && lower.startsWith('access-control-')) continue
    // These responses have no body, and a client that trusts the length would wait for one (RFC 9110 §8.6).
    if ((statusCode === 204 || statusCode < 200) && lower === 'content-length') continue
    if (!trailers && lower === 'trailer') continue
    // A repeated field is a list there, and each of its lines is returned.
    const value = parsed[lower]
    headers.push(name, typeof value === 'string' ? value : text(raw[i + 1] as Buffer | string))
  }
  return headers
}

/** A field name as an upstream spells it, decoded and judged once. */
interface FieldName {
  readonly bytes: Uint8Array
  readonly name: string
  readonly lower: string
  readonly isReturned: boolean
}

/** Number of names that are remembered, each in the slot of its bytes. */
const NAME_SLOTS = 1_024
/** Longer names are not remembered. */
const MAX_KNOWN_BYTES = 64
const knownNames: (FieldName | undefined)[] = Array.from({ length: NAME_SLOTS }, () => undefined)

/** Comparing bytes costs less than decoding them: upstreams send the same names again and again. */
function nameOf(raw: Buffer | string): FieldName {
  if (typeof raw === 'string') return newName(raw, NO_BYTES)
  const { length } = raw
  if (length === 0 || length > MAX_KNOWN_BYTES) return newName(text(raw), NO_BYTES)
  const slot =
    (length * 131 + (raw[0] as number) * 31 + (raw[length >> 1] as number) * 7 + (raw[length - 1] as number)) %
    NAME_SLOTS
  const known = knownNames[slot]
  if (known !== undefined && areEqual(known.bytes, raw)) return known
  return (knownNames[slot] = newName(text(raw), Uint8Array.from(raw)))
}

const NO_BYTES = new Uint8Array()

function newName(name: string, bytes: Uint8Array): FieldName {
  const lower = name.toLowerCase()
  return { bytes, name, lower, isReturned: !NEVER_RETURNED.has(lower) }
}

function areEqual(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false
  return true
}

const LIMITS = ['ratelimit', 'ratelimit-policy'] as const

/** Adds the gateway's rate-limit fields to those of the upstream: both are lists, and the client needs both. */
function addOwnLimits(
  fields: string[],
  limitFields: readonly string[] | undefined,
  upstreamHeaders: ParsedHeaders,
): void {
  if (limitFields === undefined) return
  for (const name of LIMITS) if (upstreamHeaders[name] !== undefined) addLimitFields(fields, limitFields, name)
}

/** Returns the reason phrase, or '' if Node would refuse to write it. It has no meaning (RFC 9110 §15.1). */
export function reasonPhrase(phrase: string | undefined): string {
  return phrase !== undefined && /^[\t\x20-\x7e]*$/.test(phrase) ? phrase : ''
}

/**
 * Writes the header section of an upstream's response.
 *
 * @throws GatewayError `bad_response` if Node refuses a field; the response is then unchanged and can carry an error
 */
export function writeHeaderSection(
  response: ServerResponse,
  statusCode: number,
  phrase: string,
  fields: readonly string[],
): void {
  try {
    // For these statuses Node marks the response as bodiless for good, before it checks the fields. An error response
    // after that would announce a body and not send it.
    if (statusCode === 204 || statusCode === 304 || statusCode === 101) validate(fields)
    response.writeHead(statusCode, phrase, fields as string[])
  } catch (error) {
    if (response.headersSent) throw error
    withdraw(response, fields)
    throw new GatewayError('bad_response', { cause: error })
  }
}

function validate(fields: readonly string[]): void {
  for (let i = 0; i < fields.length; i += 2) {
    validateHeaderName(fields[i] as string)
    validateHeaderValue(fields[i] as string, fields[i + 1] as string)
  }
}

/** Removes fields that Node has already set on the response, so that an error response does not send them. */
function withdraw(response: ServerResponse, fields: readonly string[]): void {
  for (let i = 0; i < fields.length; i += 2) response.removeHeader(fields[i] as string)
  response.sendDate = true // switched off with the upstream's Date
}

/**
 * Fields that control framing, routing, caching, content or authentication. They come too late after the body, and a
 * client that merges trailers into the header section would obey them (RFC 9110 §6.5.1).
 */
const NEVER_TRAILERS: ReadonlySet<string> = new Set([
  ...NEVER_RETURNED,
  'age',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'date',
  'expires',
  'host',
  'location',
  'proxy-authenticate',
  'proxy-authorization',
  'retry-after',
  'set-cookie',
  'strict-transport-security',
  'trailer',
  'vary',
  'www-authenticate',
])
/** Fields that only the gateway sets, in the header section. */
const SAID_BY_GATEWAY = /^(?:access-control-|(?:x-)?ratelimit)/

/** Builds the client's trailers, without fields that are not allowed there or that only the gateway sets. */
export function buildTrailers(
  raw: readonly (Buffer | string)[],
  edits: HeaderEdits | undefined,
): [name: string, value: string][] {
  const trailers: [string, string][] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = text(raw[i] as Buffer | string)
    const lower = name.toLowerCase()
    if (NEVER_TRAILERS.has(lower) || SAID_BY_GATEWAY.test(lower)) continue
    if (edits?.dropped.has(lower) || edits?.added.includes(lower)) continue
    trailers.push([name, text(raw[i + 1] as Buffer | string)])
  }
  return trailers
}

function text(value: Buffer | string): string {
  return typeof value === 'string' ? value : value.toString('latin1')
}
