import type { IncomingMessage } from 'node:http'

/**
 * Whether a request prefers a page. Browsers accept `text/html` by name; a client that accepts anything (`*` as type)
 * is treated as a program. Links decide it with `?format=json` or `?format=html`.
 */
export function wantsHtml({ headers: { accept = '' }, url = '' }: Pick<IncomingMessage, 'headers' | 'url'>): boolean {
  const format = /[?&]format=(json|html)(?:&|$)/.exec(url)?.[1]
  if (format !== undefined) return format === 'html'
  return quality(accept, 'text/html') > quality(accept, 'application/json')
}

/** RFC 9110 §12.4.2, of a media type that is named as such. */
function quality(accept: string, type: string): number {
  for (const range of accept.toLowerCase().split(',')) {
    const [name, ...parameters] = range.split(';').map(part => part.trim())
    if (name !== type) continue
    const weight = parameters.find(parameter => parameter.startsWith('q='))
    return weight === undefined ? 1 : Number(weight.slice(2)) || 0
  }
  return 0
}
