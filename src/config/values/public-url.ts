import { refuse, type Parsed } from './parsed'

const ALLOWED = 'an http or https URL without credentials, query and fragment, such as http://10.1.2.3:9464'

/** Parses a public base address, to which paths are appended, so it has no trailing slash. */
export function parsePublicUrl(found: unknown): Parsed<string> {
  const text = String(found)
  const url = URL.parse(text)
  if (/^[\w.-]+:\d+(?:\/.*)?$/.test(text)) return refuse('has no scheme', ALLOWED, `http://${text}`)
  if (url === null) return refuse('is not a URL', ALLOWED)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return refuse('is neither http nor https', ALLOWED)
  if (url.username !== '' || url.password !== '') return refuse('has credentials in it', ALLOWED)
  if (/[?#]/.test(text)) return refuse('has a query or a fragment', ALLOWED, `${url.origin}${url.pathname}`)
  return { value: `${url.origin}${url.pathname}`.replace(/\/+$/, '') }
}
