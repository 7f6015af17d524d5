import { notText, type Parsed } from './parsed'

const ALLOWED = 'sha256: and 64 hexadecimal digits, as "npm run hash-key" prints it'

export const API_KEY_HASH_PATTERN = '^sha256:[0-9A-Fa-f]{64}$'

/** The stored form of an API key: its SHA-256. A reader of the file, or of a copy of it, cannot use it as a key. */
export function parseApiKeyHash(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  if (new RegExp(API_KEY_HASH_PATTERN).test(found)) return { value: found.slice('sha256:'.length).toLowerCase() }
  // The value is probably the key itself, which must not be logged.
  return { mistake: { problem: 'is not the hash of a key', allowed: ALLOWED, isSecret: true } }
}
