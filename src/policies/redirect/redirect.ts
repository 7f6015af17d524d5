import type { RedirectConfig, RouteConfig } from '../../config/types'
import { segmentsOf } from '../../config/values/path-template'
import type { Stage } from '../../exchange/exchange'
import { sendLocalReply } from '../../exchange/local-reply'

/** Sends the client elsewhere: the last stage of a route that has a target to name in the place of an upstream. */
export function redirect({ to, keepsRest, status }: RedirectConfig, { path }: RouteConfig['match']): Stage {
  const segments = segmentsOf(path)
  // Below nothing but parameters is everything: `/:path` is how a whole site is moved.
  const depth = segments.every(segment => segment.startsWith(':')) ? 0 : segments.length
  // What comes behind an origin or nothing begins with one `/`: `//evil.example` would be another site.
  const withoutRest = to === '' || /^https?:\/\/[^/]+$/.test(to) ? `${to}/` : to
  const joint = to.includes('?') ? '&' : '?'
  return function redirectRequest(exchange) {
    const rest = keepsRest ? restBelow(exchange.path, depth) : ''
    const target = rest === '' ? withoutRest : to + rest
    const query = exchange.query.length > 1 ? joint + exchange.query.slice(1) : ''
    sendLocalReply(exchange, { status, fields: ['Location', target + query, 'Content-Length', '0'], body: undefined })
  }
}

/** `/a/b/c` below the one segment of `/a` is `/b/c`. Paths have no empty segment left (`entrypoint/request-target.ts`). */
function restBelow(path: string, depth: number): string {
  let slash = 0
  for (let segments = depth; segments > 0; segments--) {
    slash = path.indexOf('/', slash + 1)
    if (slash === -1) return ''
  }
  return path.slice(slash)
}
