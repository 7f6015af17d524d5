import { z } from 'zod'
import type { MatchConfig } from '../../config/match-schema'
import { field } from '../../config/values/field'
import { mistake } from '../../config/values/parsed'
import { segmentsOf } from '../../config/values/path-template'
import { asMap } from '../../config/understood'
import { ANSWERED, type Stage } from '../../exchange/exchange'
import { sendLocalReply } from '../../exchange/local-reply'
import { definePolicy } from '../define-policy'
import { parseRedirectStatus, parseRedirectTarget, REDIRECT_PATTERN, REDIRECT_STATUSES } from './redirect-target'

const schema = z
  .strictObject({
    to: field(parseRedirectTarget, {
      description:
        'Target of the redirect, a URL or a path. `/*` at its end stands for the rest of the request path below the path of the route: with the route `/old`, `/new/*` turns `/old/a/b` into `/new/a/b`. If the path of the route is `/` or consists only of parameters, the rest is the whole path: with the route `/`, `https://new.example/*` moves a whole site. The query is kept.',
      value: 'path, or http(s) URL',
      type: 'string',
      pattern: REDIRECT_PATTERN,
      examples: ['/new/*', 'https://shop.example/'],
    }),
    status: field(parseRedirectStatus, {
      description: 'With 307 and 308 the client keeps its method and body.',
      value: '301, 302, 303, 307, 308',
      anyOf: [{ enum: REDIRECT_STATUSES }, { type: 'string', pattern: '^30[12378]$|\\$\\{' }],
    }).prefault(308),
  })
  .meta({ description: 'Redirects clients, instead of an upstream.' })
  .transform(({ to, status }) => ({ ...to, status }))

type RedirectConfig = z.output<typeof schema>

/** Redirects clients instead of calling an upstream. */
export const redirect = definePolicy({
  name: 'redirect',
  schema: schema.optional(),
  example: `
# /old/a/b?c=d goes to /a/b?c=d of the new address.
- name: old
  match: { host: shop.example, path: /old }
  redirect: { to: 'https://shop.example/*', status: 301 }
`,
  answers: true,
  /** Refuses a redirect to the route itself: clients would loop. */
  check(written, context) {
    const { path, methods, headers } = asMap(context.route['match'])
    if (written === undefined || methods !== undefined || headers !== undefined) return []
    const { to, keepsRest } = written
    // `/*` on a route of parameters only puts the whole path back where it was.
    const isItself = to === path || (to === '' && keepsRest && /^(?:\/|(?:\/:[^/]+)+)$/.test(String(path)))
    return isItself ? [context.problem(['to'], mistake('leads to the route itself', 'another path'))] : []
  },
  create: (config, { route }) => ({ onRequest: createRedirect(config, route.match) }),
  describe: ({ to, keepsRest, status }) => [{ about: 'answer', text: `${status} to ${to}${keepsRest ? '/*' : ''}` }],
})

function createRedirect({ to, keepsRest, status }: RedirectConfig, { path }: MatchConfig): Stage {
  const segments = segmentsOf(path)
  // `/`, and paths of parameters only, keep the whole path, so that a whole site can be moved.
  const depth = path === '/' || segments.every(segment => segment.startsWith(':')) ? 0 : segments.length
  // The path after an origin or an empty target starts with one `/`: `//evil.example` would be another site.
  const withoutRest = to === '' || /^https?:\/\/[^/]+$/.test(to) ? `${to}/` : to
  const joint = to.includes('?') ? '&' : '?'
  return function redirectRequest(exchange) {
    const rest = keepsRest ? restBelow(exchange.path, depth) : ''
    const target = rest === '' ? withoutRest : to + rest
    const query = exchange.query.length > 1 ? joint + exchange.query.slice(1) : ''
    sendLocalReply(exchange, { status, fields: ['Location', target + query, 'Content-Length', '0'], body: undefined })
    return ANSWERED
  }
}

/** `/a/b/c` below the one segment of `/a` is `/b/c`. Paths have no empty segment left (`exchange/request-target.ts`). */
function restBelow(path: string, depth: number): string {
  let slash = 0
  for (let segments = depth; segments > 0; segments--) {
    slash = path.indexOf('/', slash + 1)
    if (slash === -1) return ''
  }
  return path.slice(slash)
}
