import type { ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { GatewayError } from '../errors/gateway-error'
import type { Exchange } from '../exchange/exchange'
import { editAnswer } from '../exchange/header-edits'
import { joined, namedInConnection } from './request-headers'

/** As undici has parsed them: names in lower case. */
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
 * Only `chunked` is undone on the way: a body that is compressed for the connection would reach the client without the
 * field that says so (RFC 9112 §6.1).
 *
 * @throws GatewayError `bad_response`
 */
export function refuseTransferCodings(coding: string | undefined): void {
  if (coding === undefined || coding.toLowerCase() === 'chunked') return
  throw new GatewayError('bad_response', { cause: new Error(`Transfer-Encoding: ${coding}`) })
}

/** The header section for the client: the upstream's, and what the gateway and the route have to say. */
export function fieldsForClient(
  exchange: Exchange,
  controller: Dispatcher.DispatchController,
  statusCode: number,
  headers: ParsedHeaders,
): string[] {
  const { response, route, corsFields, hooks } = exchange
  const raw = (controller.rawHeaders ?? []) as readonly (Buffer | string)[]
  const edits = route?.responseEdits
  const connection = joined(headers['connection'])
  const fields = buildResponseHeaders(raw, statusCode, connection, edits?.dropped, corsFields !== undefined)
  addOwnLimits(fields, response, headers)
  if (corsFields) fields.push(...corsFields)
  if (edits) editAnswer(fields, edits, response)
  if (hooks !== undefined) for (const hook of hooks.onResponse) hook(exchange, { status: statusCode, fields })
  return fields
}

/**
 * The upstream's header section for the client: flat name, value pairs, spelling and duplicates (`Set-Cookie`) kept.
 *
 * @param raw name, value pairs as undici read them, bytes in latin1
 * @param dropped what the route leaves out, lower case
 * @param ownsCors whether the gateway says who may read the response, and the upstream does not
 */
function buildResponseHeaders(
  raw: readonly (Buffer | string)[],
  statusCode: number,
  connection: string | undefined,
  dropped?: ReadonlySet<string>,
  ownsCors = false,
): string[] {
  const named = namedInConnection(connection)
  const headers: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = text(raw[i] as Buffer | string)
    const lower = name.toLowerCase()
    if (NEVER_RETURNED.has(lower) || named?.has(lower) || dropped?.has(lower)) continue
    if (ownsCors && lower.startsWith('access-control-')) continue
    // There is none, and a client that believes the length waits for it (RFC 9110 §8.6).
    if ((statusCode === 204 || statusCode === 101) && lower === 'content-length') continue
    headers.push(name, text(raw[i + 1] as Buffer | string))
  }
  return headers
}

const LIMITS = ['ratelimit', 'ratelimit-policy'] as const

/**
 * The gateway's own limits where the upstream tells of its own: both are lists, and the client is to know of both.
 * `writeHead()` would put the upstream's in place of ours.
 */
function addOwnLimits(fields: string[], response: ServerResponse, upstreamHeaders: ParsedHeaders): void {
  for (const name of LIMITS) {
    if (upstreamHeaders[name] === undefined) continue
    for (const value of [response.getHeader(name) ?? []].flat()) fields.push(name, String(value))
  }
}

/** Trailer fields for the client, without those that could change where the message ends (RFC 9110 §6.5.1). */
export function buildTrailers(raw: readonly (Buffer | string)[], dropped?: ReadonlySet<string>): [string, string][] {
  const trailers: [string, string][] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = text(raw[i] as Buffer | string)
    const lower = name.toLowerCase()
    if (NEVER_RETURNED.has(lower) || lower === 'content-length' || lower === 'trailer' || dropped?.has(lower)) continue
    trailers.push([name, text(raw[i + 1] as Buffer | string)])
  }
  return trailers
}

function text(value: Buffer | string): string {
  return typeof value === 'string' ? value : value.toString('latin1')
}
