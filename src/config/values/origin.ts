import { refuse, notText, type Parsed } from './parsed'

const ALLOWED = 'scheme, host and port alone, such as http://127.0.0.1:9001 or https://orders.example'

export const ORIGIN_PATTERN = '^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\\s]+/?$'

/** A target: an http(s) origin without credentials, path, query or fragment, as `URL.origin` writes it. */
export function parseOrigin(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  if (/^[\w.-]+:\d+$|^localhost$/i.test(found)) return refuse('has no scheme', ALLOWED, `http://${found}`)
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(found)) return refuse('is not an origin', ALLOWED)
  if (!/^https?:/i.test(found)) return refuse('is neither http nor https', ALLOWED)
  const url = URL.parse(found)
  if (url === null) return refuse('is not a valid URL', ALLOWED)
  // The message omits the text, so that the password is not logged.
  if (url.username !== '' || url.password !== '') return refuse('has credentials in it', ALLOWED, url.origin)
  if (url.hostname.includes('*')) return refuse('has a wildcard for its host, which is no server', ALLOWED)
  if (url.port === '0') return refuse('has port 0, where nothing can listen', ALLOWED)
  if (url.pathname !== '/') return refuse('has a path: the path comes from the request', ALLOWED, url.origin)
  if (/[?#]/.test(found)) return refuse('has a query or a fragment', ALLOWED, url.origin)
  return { value: url.origin }
}
