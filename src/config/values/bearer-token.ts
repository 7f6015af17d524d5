import { refuse, type Parsed } from './parsed'

const ALLOWED = 'at least 16 letters, digits or -._~+/ characters, such as "openssl rand -hex 32" prints'

/** A token that is valid in `Authorization: Bearer` (RFC 6750 §2.1) and too long to guess. */
export function parseBearerToken(found: unknown): Parsed<string> {
  const text = String(found)
  if (!/^[A-Za-z0-9\-._~+/]+=*$/.test(text)) return refuse('has characters that a bearer token cannot have', ALLOWED)
  return text.length < 16 ? refuse('is too short to be a secret', ALLOWED) : { value: text }
}
