import { notText, refuse, type Parsed } from '../../config/values/parsed'

export interface AuthorizerUrl {
  readonly origin: string
  /** With query. */
  readonly path: string
}

const URL_ALLOWED = 'an http or https URL without credentials and fragment, such as http://authz.internal:9000/verify'

export function parseAuthorizerUrl(found: unknown): Parsed<AuthorizerUrl> {
  if (typeof found !== 'string') return notText(found, URL_ALLOWED)
  const url = URL.parse(found)
  if (url === null || !/^https?:$/.test(url.protocol)) return refuse('is not an http or https URL', URL_ALLOWED)
  // The message omits the text, so that the password is not logged.
  if (url.username !== '' || url.password !== '') {
    return { mistake: { problem: 'has credentials in it', allowed: URL_ALLOWED, isSecret: true } }
  }
  if (url.hash !== '') return refuse('has a fragment, which is never sent', URL_ALLOWED)
  if (url.port === '0') return refuse('has port 0, where nothing can listen', URL_ALLOWED)
  return { value: { origin: url.origin, path: `${url.pathname}${url.search}` } }
}

const SIGN_IN = 'a path or an http(s) URL, such as /oauth2/sign_in?rd={uri}'

/** Parses the address that browsers are redirected to, with its placeholders. */
export function parseSignIn(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, SIGN_IN)
  const [unknown] = found.match(/\{(?!ur[li]\})[^}]*\}?/) ?? []
  if (unknown !== undefined) return refuse(`has "${unknown}" in it`, 'the placeholders {url} and {uri}')
  const filled = fillSignIn(found, 'x', 'x')
  if (!/^[!-~]+$/.test(filled)) return refuse('has a character that must be escaped', SIGN_IN)
  const isPath = filled.startsWith('/') && !filled.startsWith('//') && !filled.startsWith('/\\')
  if (!isPath && !/^https?:$/.test(URL.parse(filled)?.protocol ?? ''))
    return refuse('is neither a path nor a URL', SIGN_IN)
  return { value: found }
}

export function fillSignIn(template: string, url: string, uri: string): string {
  return template.replace(/\{(url|uri)\}/g, (_, name: string) => encodeURIComponent(name === 'url' ? url : uri))
}
