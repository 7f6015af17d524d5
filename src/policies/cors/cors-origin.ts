import { refuse, notText, type Parsed } from '../../config/values/parsed'
import { parseHostPattern } from '../../config/values/host-pattern'

const ALLOWED = 'an origin such as https://shop.example, https://*.shop.example for every name below it, or * for all'

export const CORS_ORIGIN_PATTERN = '^(?:\\*|https?://(?:\\*\\.)?[^/*?#@\\s]+)$'

/** Parses an origin to the form that browsers send in `Origin`: lower case, without the scheme's default port. */
export function parseCorsOrigin(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  if (found === '*') return { value: found }
  if (found === 'null') return refuse('is the origin of every sandboxed page, of any site', ALLOWED)
  const [, scheme, host, port = ''] = /^([a-z]+):\/\/(\[[^\]]*\]|[^:/?#@]+)(:\d{1,5})?$/i.exec(found) ?? []
  if (scheme === undefined || host === undefined) {
    const origin = URL.parse(found)?.origin
    const isUrl = origin !== undefined && origin !== 'null' && !found.includes('*')
    return refuse('is not an origin', ALLOWED, isUrl ? origin : undefined)
  }
  if (!/^https?$/i.test(scheme)) return refuse('is neither http nor https', ALLOWED)
  if (!host.startsWith('[')) {
    const pattern = parseHostPattern(host)
    if ('mistake' in pattern) return refuse(pattern.mistake.problem, ALLOWED)
  }
  const url = URL.parse(`${scheme}://${host.replace('*', 'any')}${port}`)
  if (url === null) return refuse('is not an origin', ALLOWED)
  return { value: host.startsWith('*') ? url.origin.replace('//any.', '//*.') : url.origin }
}
