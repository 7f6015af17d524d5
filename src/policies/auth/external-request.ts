import type { Exchange } from '../../exchange/exchange'
import { viaOf } from '../../exchange/loops'
import { plainAddress, schemeOf } from '../../exchange/peer'

/** The request as its client sees it, past trusted proxies. */
export interface AskedUrl {
  readonly scheme: string
  readonly host: string
  /** Path and query. Credentials that were taken out of the query are not in it. */
  readonly uri: string
}

/** @param isRaw whether the upstream gets the path as received; the authorizer judges what the upstream gets */
export function askedUrl({ request, proxyForwarding, path, rawPath, query }: Exchange, isRaw: boolean): AskedUrl {
  return {
    scheme: first(proxyForwarding?.proto) ?? schemeOf(request),
    host: first(proxyForwarding?.host) ?? request.headers.host ?? '',
    uri: (isRaw ? rawPath : path) + query,
  }
}

/**
 * Builds the header section of a check, as flat name, value pairs, by the convention of Traefik's ForwardAuth: the request is
 * described in `X-Forwarded-*`, of which none comes from a client that is not a trusted proxy.
 *
 * @param chosen names of request fields, lower case
 */
export function checkHeaders(
  exchange: Exchange,
  { scheme, host, uri }: AskedUrl,
  chosen: ReadonlySet<string>,
): string[] {
  const { request, proxyForwarding, consumer, clientAddress, requestIdConfig } = exchange
  const headers: string[] = []
  const { rawHeaders } = request
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase()
    if (chosen.has(name)) headers.push(name, rawHeaders[i + 1] as string)
  }
  const peer = proxyForwarding === undefined ? clientAddress : plainAddress(request.socket.remoteAddress ?? '')
  headers.push(
    'x-forwarded-method',
    request.method ?? 'GET',
    'x-forwarded-proto',
    scheme,
    'x-forwarded-host',
    host,
    'x-forwarded-uri',
    uri,
    'x-forwarded-for',
    proxyForwarding?.for === undefined ? peer : `${proxyForwarding.for}, ${peer}`,
    // Counts the gateway's passes, so that an authorizer behind this gateway is found to be a loop.
    'via',
    viaOf(exchange),
  )
  if (clientAddress !== '') headers.push('x-real-ip', clientAddress)
  if (consumer !== undefined) headers.push('x-consumer-name', consumer.name)
  if (requestIdConfig !== undefined && !chosen.has(requestIdConfig.header)) {
    headers.push(requestIdConfig.header, exchange.requestId)
  }
  return headers
}

function first(list: string | undefined): string | undefined {
  return list?.split(',', 1)[0]?.trim()
}
