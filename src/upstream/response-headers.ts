import { namedInConnection } from './request-headers'

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
 * The upstream's header section for the client: flat name, value pairs, spelling and duplicates (`Set-Cookie`) kept.
 *
 * @param raw name, value pairs as undici read them, bytes in latin1
 */
export function buildResponseHeaders(raw: readonly (Buffer | string)[], connection: string | undefined): string[] {
  const named = namedInConnection(connection)
  const headers: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = text(raw[i] as Buffer | string)
    const lower = name.toLowerCase()
    if (NEVER_RETURNED.has(lower) || named?.has(lower)) continue
    headers.push(name, text(raw[i + 1] as Buffer | string))
  }
  return headers
}

function text(value: Buffer | string): string {
  return typeof value === 'string' ? value : value.toString('latin1')
}
