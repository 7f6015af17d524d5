import { z } from 'zod'
import { pathField } from '../../config/match-schema'
import { asMap, list, read } from '../../config/understood'
import { field } from '../../config/values/field'
import { mistake } from '../../config/values/parsed'
import { parseAddPrefix, parseStripPrefix, segmentsOf } from '../../config/values/path-template'
import { definePolicy, type Line } from '../define-policy'

const stripPrefixField = field(parseStripPrefix, {
  description:
    'Prefix removed from the path before forwarding: whole segments that `match.path` starts with, no parameters.',
  value: 'path',
  type: 'string',
  examples: ['/api'],
}).optional()

const schema = z
  .strictObject({
    stripPrefix: stripPrefixField,
    addPrefix: field(parseAddPrefix, {
      description:
        'Prefix added to the path before forwarding, after `stripPrefix`. Both together replace a prefix: `{ stripPrefix: /api, addPrefix: /v2 }` turns `/api/orders` into `/v2/orders`.',
      value: 'path',
      type: 'string',
      examples: ['/v2'],
    }).optional(),
  })
  .meta({ description: 'Changes the path before the request is forwarded.' })
  .transform(({ stripPrefix, addPrefix }) => ({ stripPrefix, addPrefix }))

type RewriteConfig = Readonly<z.output<typeof schema>>

/** What becomes of the path before it is forwarded. */
export const rewrite = definePolicy({
  name: 'rewrite',
  schema: schema.prefault({}),
  needsUpstream: true,
  check(_written, context) {
    const path = read(pathField, asMap(context.route['match'])['path'])
    const stripPrefix = read(stripPrefixField, context.valueAt('stripPrefix'))
    if (path === undefined || stripPrefix === undefined || `${path}/`.startsWith(`${stripPrefix}/`)) return []
    const prefixes = literalPrefixes(path)
    const allowed = prefixes.length > 0 ? list(prefixes) : 'nothing: the path begins with a parameter'
    const nearest = context.nearest(stripPrefix, prefixes)
    return [context.problem(['stripPrefix'], mistake(`is not how the route's path begins`, allowed, nearest))]
  },
  create: config => ({ forwarding: { rewritePath: createPathRewrite(config) } }),
  describe: ({ stripPrefix, addPrefix }): Line[] => [
    ...(stripPrefix === undefined ? [] : [{ about: 'path', text: `without ${stripPrefix}` } as const]),
    ...(addPrefix === undefined ? [] : [{ about: 'path', text: `with ${addPrefix} in front` } as const]),
  ],
})

/** Undefined where the path stays as it is. */
function createPathRewrite({ stripPrefix, addPrefix }: RewriteConfig): ((path: string) => string) | undefined {
  if (stripPrefix === undefined && addPrefix === undefined) return undefined
  const stripped = stripPrefix?.length ?? 0
  const prefix = addPrefix ?? ''
  // The route has matched, so the path begins with the prefix, and a whole segment ends there.
  return function rewritePath(path) {
    return prefix + path.slice(stripped) || '/'
  }
}

/** `/a/b/:c` → `/a`, `/a/b` */
function literalPrefixes(path: string): string[] {
  const segments = segmentsOf(path)
  const end = segments.findIndex(segment => segment.startsWith(':'))
  const literals = end === -1 ? segments : segments.slice(0, end)
  return literals.map((_, index) => `/${literals.slice(0, index + 1).join('/')}`)
}
