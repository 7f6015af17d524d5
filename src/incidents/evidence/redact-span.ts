import type { TraceSpan } from './otlp-trace'
import { digestOf, type Shown } from './shown'

/**
 * Attributes that identify the client, in the gateway's spans and in those of other services, by newer and older
 * conventions.
 */
const CLIENT_ATTRIBUTES: ReadonlySet<string> = new Set([
  'client.address',
  'client.port',
  'client.socket.address',
  'http.client_ip',
  'http.user_agent',
  'user_agent.original',
])
/** Peer attributes: of a SERVER span the peer is a client, of a CLIENT span a target. */
const PEER_ATTRIBUTES: ReadonlySet<string> = new Set([
  'network.peer.address',
  'network.peer.port',
  'net.peer.ip',
  'net.peer.name',
  'net.peer.port',
  'net.sock.peer.addr',
  'net.sock.peer.port',
])
const CONSUMER_ATTRIBUTE = 'gateway.consumer.name'
/** Prefixes of attributes about a person. */
const PERSON = /^(?:enduser|user|session)\./
const HEADER = /^http\.(?:request|response)\.header\.(.+)$/
/** Attributes with the query, which may hold secrets. */
const QUERY_ATTRIBUTES: ReadonlySet<string> = new Set(['url.query'])
const URL_ATTRIBUTES: ReadonlySet<string> = new Set(['url.full', 'http.url', 'http.target'])

/** Removes what the settings do not show: records are kept for long and seen by operators. */
export function redactSpan(span: TraceSpan, shown: Shown): TraceSpan {
  const attributes: Record<string, string> = {}
  for (const [name, value] of Object.entries(span.attributes)) {
    const kept = redactAttribute(name, value, span, shown)
    if (kept !== undefined) attributes[name] = kept
  }
  return { ...span, attributes }
}

function redactAttribute(name: string, value: string, { kind }: TraceSpan, shown: Shown): string | undefined {
  if (name === CONSUMER_ATTRIBUTE) return shown.consumers ? value : digestOf(value)
  const isOfClient = CLIENT_ATTRIBUTES.has(name) || (kind === 'server' && PEER_ATTRIBUTES.has(name))
  if (isOfClient) return shown.clients ? value : undefined
  if (PERSON.test(name)) return shown.consumers ? value : undefined
  const [, header] = HEADER.exec(name) ?? []
  // Older conventions write `content_type`.
  if (header !== undefined) return shown.headers.includes(header.replaceAll('_', '-').toLowerCase()) ? value : undefined
  if (QUERY_ATTRIBUTES.has(name)) return undefined
  return URL_ATTRIBUTES.has(name) ? value.split('?', 1)[0] : value
}
