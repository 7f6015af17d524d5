import { nearestName } from '../nearest-name'
import type { RateLimitKey } from '../types'
import { notText, refuse, type Parsed } from './parsed'

const ALLOWED = 'client, header:NAME such as header:x-tenant, or a list of them'
/** For editors. */
export const KEY_PATTERN = "^(?:client|header:[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64})$|\\$\\{"
/** A field name (RFC 9110 §5.1). */
const HEADER = /^header:([!#$%&'*+.^_`|~0-9a-z-]{1,64})$/i
const MEANT: Readonly<Record<string, string>> = { ip: 'client', address: 'client', 'client.address': 'client' }
/** Fields of the connection or of every client alike: nothing to count by. */
const USELESS: ReadonlySet<string> = new Set(['connection', 'content-length', 'host', 'transfer-encoding'])

/** What a policy counts by: one thing, or a list whose combination counts. */
export function parseRateLimitKey(found: unknown): Parsed<RateLimitKey> {
  if (!Array.isArray(found)) {
    const parsed = parsePart(found)
    return 'value' in parsed ? { value: [parsed.value] } : parsed
  }
  if (found.length === 0) return refuse('has nothing in it', ALLOWED)
  const parts: RateLimitKey[number][] = []
  for (const part of found) {
    const parsed = parsePart(part)
    if (!('value' in parsed)) {
      const { problem, nearest } = parsed.mistake
      return refuse(`has a part that ${problem}`, ALLOWED, nearest)
    }
    if (parts.includes(parsed.value)) return refuse(`has "${parsed.value}" twice`, ALLOWED)
    parts.push(parsed.value)
  }
  return { value: parts }
}

function parsePart(found: unknown): Parsed<RateLimitKey[number]> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  if (found === 'client') return { value: 'client' }
  const header = HEADER.exec(found)?.[1]?.toLowerCase()
  if (header !== undefined) {
    return USELESS.has(header) ? refuse('tells no clients apart', ALLOWED) : { value: `header:${header}` }
  }
  const text = found.toLowerCase()
  if (['consumer', 'apikey', 'api-key'].includes(text)) return refuse('is nothing this version can count by', ALLOWED)
  const meant = Object.hasOwn(MEANT, text) ? MEANT[text] : nearestName(text, ['client'])
  return refuse('is nothing this version can count by', ALLOWED, meant)
}
