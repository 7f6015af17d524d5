import { nearestName } from '../nearest-name'
import { notText, refuse, type Parsed } from './parsed'

/** The key of hash balancing: the client's address, the value of a field, or a combination. */
export type HashKey = readonly ('client' | `header:${string}`)[]

/**
 * The key of a limit: the client's address (IPv6 by its /56 block), the consumer, its certificate, the value of a field, or
 * a combination.
 */
export type RateLimitKey = readonly (HashKey[number] | 'consumer' | 'api-key' | 'certificate')[]

/** The pattern for editors. */
export const HASH_KEY_PATTERN = "^(?:client|header:[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64})$|\\$\\{"
export const KEY_PATTERN = HASH_KEY_PATTERN.replace('client', 'client|consumer|api-key|certificate')
/** A field name (RFC 9110 §5.1). */
const HEADER = /^header:([!#$%&'*+.^_`|~0-9a-z-]{1,64})$/i
const MEANT: Readonly<Record<string, string>> = {
  ip: 'client',
  address: 'client',
  'client.address': 'client',
  apikey: 'api-key',
  api_key: 'api-key',
  key: 'api-key',
  user: 'consumer',
}
/** Fields of the connection, or equal for all clients: useless as keys. */
const USELESS: ReadonlySet<string> = new Set(['connection', 'content-length', 'host', 'transfer-encoding'])

/** The allowed words besides `header:NAME`. */
interface Kind {
  readonly words: readonly string[]
  readonly allowed: string
}

const LIMIT: Kind = {
  words: ['client', 'consumer', 'api-key', 'certificate'],
  allowed: 'client, consumer, api-key, certificate, header:NAME such as header:x-tenant, or a list of them',
}
const HASH: Kind = { words: ['client'], allowed: 'client, header:NAME such as header:x-tenant, or a list of them' }

/** Parses the key of a policy: one item, or a list whose combination counts. */
export function parseRateLimitKey(found: unknown): Parsed<RateLimitKey> {
  return parseKey(found, LIMIT) as Parsed<RateLimitKey>
}

/** Parses the key by which an upstream's target is chosen. */
export function parseHashKey(found: unknown): Parsed<HashKey> {
  return parseKey(found, HASH) as Parsed<HashKey>
}

function parseKey(found: unknown, kind: Kind): Parsed<readonly string[]> {
  if (!Array.isArray(found)) {
    const parsed = parsePart(found, kind)
    return 'value' in parsed ? { value: [parsed.value] } : parsed
  }
  if (found.length === 0) return refuse('has nothing in it', kind.allowed)
  const parts: string[] = []
  for (const part of found) {
    const parsed = parsePart(part, kind)
    if (!('value' in parsed)) {
      const { problem, nearest } = parsed.mistake
      return refuse(`has a part that ${problem}`, kind.allowed, nearest)
    }
    if (parts.includes(parsed.value)) return refuse(`has "${parsed.value}" twice`, kind.allowed)
    parts.push(parsed.value)
  }
  return { value: parts }
}

function parsePart(found: unknown, { words, allowed }: Kind): Parsed<string> {
  if (typeof found !== 'string') return notText(found, allowed)
  if (words.includes(found)) return { value: found }
  const header = HEADER.exec(found)?.[1]?.toLowerCase()
  if (header !== undefined) {
    return USELESS.has(header) ? refuse('tells no clients apart', allowed) : { value: `header:${header}` }
  }
  const text = found.toLowerCase()
  const meant = Object.hasOwn(MEANT, text) ? MEANT[text] : nearestName(text, words)
  const nearest = meant !== undefined && words.includes(meant) ? meant : undefined
  return refuse('is not a supported key', allowed, nearest)
}
