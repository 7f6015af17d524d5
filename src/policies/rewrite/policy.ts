import { z } from 'zod'
import { matchSchema, pathField, type MatchConfig } from '../../config/match-schema'
import type { ConfigProblem } from '../../config/types'
import { asMap, list, read } from '../../config/understood'
import { field } from '../../config/values/field'
import { mistake } from '../../config/values/parsed'
import { PathPattern } from '../../config/values/path-pattern'
import {
  parseAddPrefix,
  parsePathTemplate,
  parseStripPrefix,
  PATH_PATTERN,
  segmentsOf,
} from '../../config/values/path-template'
import { isNormalPath } from '../../exchange/request-target'
import { GatewayError } from '../../errors/gateway-error'
import type { CheckContext } from '../check-context'
import { definePolicy, type Line } from '../define-policy'

const stripPrefixField = field(parseStripPrefix, {
  description:
    'Prefix removed from the path before forwarding: whole segments that `match.path` begins with, no parameters. The upstream gets it in `X-Forwarded-Prefix`.',
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
    path: field(parsePathTemplate, {
      description:
        'Replaces what `match.path` matched; parameters are filled in: for the route `/orders/:id`, `/v2/:id` turns `/orders/7/items` into `/v2/7/items`. On a route with `match.pattern` it replaces the whole path, and the named groups of the pattern are parameters too. Cannot be combined with `stripPrefix` and `addPrefix`.',
      value: 'path',
      type: 'string',
      pattern: PATH_PATTERN,
      examples: ['/v2/:id'],
    }).optional(),
  })
  .meta({ description: 'Changes the path before the request is forwarded.' })
  .transform(({ stripPrefix, addPrefix, path }) => ({ stripPrefix, addPrefix, ...(path !== undefined && { path }) }))

type RewriteConfig = Readonly<z.output<typeof schema>>

/** Rewrites the path before it is forwarded. */
export const rewrite = definePolicy({
  name: 'rewrite',
  schema: schema.prefault({}),
  example: `
# The number identifies an article; the text after it is for readers.
- name: articles
  match: { host: shop.example, path: /articles, pattern: '/articles/(?<id>[0-9]+)-.*', ignoreCase: true }
  upstream: web
  rewrite: { path: /content/:id }
`,
  needsUpstream: true,
  check: (written, context) => [...checkStripPrefix(context), ...checkPath(written, context)],
  create: (config, { route }) => ({
    forwarding: { rewritePath: createPathRewrite(config, route.match), forwardedPrefix: config.stripPrefix },
  }),
  describe: ({ stripPrefix, addPrefix, path }): Line[] => [
    ...(stripPrefix === undefined ? [] : [{ about: 'path', text: `without ${stripPrefix}` } as const]),
    ...(addPrefix === undefined ? [] : [{ about: 'path', text: `with ${addPrefix} in front` } as const]),
    ...(path === undefined ? [] : [{ about: 'path', text: `as ${path}` } as const]),
  ],
})

function checkStripPrefix(context: CheckContext): ConfigProblem[] {
  const path = read(pathField, asMap(context.route['match'])['path'])
  const stripPrefix = read(stripPrefixField, context.valueAt('stripPrefix'))
  if (path === undefined || stripPrefix === undefined || `${path}/`.startsWith(`${stripPrefix}/`)) return []
  const prefixes = literalPrefixes(path)
  const allowed = prefixes.length > 0 ? list(prefixes) : 'no prefix: the path begins with a parameter'
  const nearest = context.nearest(stripPrefix, prefixes)
  return [context.problem(['stripPrefix'], mistake(`is not a prefix of the route's path`, allowed, nearest))]
}

function checkPath(written: RewriteConfig | undefined, context: CheckContext): ConfigProblem[] {
  const path = written?.path
  if (written === undefined || path === undefined) return []
  const other = written.stripPrefix !== undefined ? 'stripPrefix' : written.addPrefix !== undefined ? 'addPrefix' : ''
  if (other !== '') {
    return [context.problemAtKey([other], mistake('has no effect beside "path"', 'a path that begins with it'))]
  }
  const match = read(matchSchema, context.route['match'])
  if (match?.pattern !== undefined && context.route['rawPath'] === true) {
    const useless = mistake(
      'cannot be combined with rawPath: the pattern matches normalised paths only',
      'no "rawPath"',
    )
    return [context.problem(['path'], useless)]
  }
  if (match === undefined) return []
  const names = valueNames(match)
  const unknown = parametersOf(path).find(name => !names.includes(name))
  if (unknown === undefined) return []
  const allowed = names.length > 0 ? list(names.map(name => `:${name}`)) : 'no parameter: the route has none'
  const nearest = context.nearest(unknown, names)
  const meant = nearest === undefined ? undefined : `:${nearest}`
  return [
    context.problem(['path'], mistake(`has the parameter ":${unknown}", which has no value here`, allowed, meant)),
  ]
}

/** Returns the names that a rewritten path may refer to. */
function valueNames(match: MatchConfig): string[] {
  return [...parametersOf(match.path), ...(match.pattern ? new PathPattern(match.pattern, false).groupNames : [])]
}

function parametersOf(path: string): string[] {
  return segmentsOf(path).flatMap(segment => (segment.startsWith(':') ? [segment.slice(1)] : []))
}

/** Creates the rewrite; undefined if the path does not change. */
function createPathRewrite(config: RewriteConfig, match: MatchConfig): ((path: string) => string) | undefined {
  const { stripPrefix, addPrefix, path: template } = config
  if (template !== undefined) return createTemplateRewrite(template, match)
  if (stripPrefix === undefined && addPrefix === undefined) return undefined
  const stripped = stripPrefix ?? ''
  const depth = stripPrefix === undefined ? 0 : segmentsOf(stripPrefix).length
  const prefix = addPrefix ?? ''
  // The route has matched, so the path begins with the prefix, and a whole segment ends there.
  return function rewritePath(path) {
    const rest = path.startsWith(stripped) ? path.slice(stripped.length) : withoutSegments(path, depth)
    return prefix + rest || '/'
  }
}

/** Removes the first segments of a path, whatever their case and number of slashes. */
function withoutSegments(path: string, count: number): string {
  let end = 0
  for (let i = 0; i < count; i++) {
    while (path[end] === '/') end++
    const slash = path.indexOf('/', end)
    end = slash === -1 ? path.length : slash
  }
  return path.slice(end)
}

function createTemplateRewrite(template: string, match: MatchConfig): (path: string) => string {
  const parts = template === '/' ? [] : segmentsOf(template)
  const matched = match.path === '/' ? [] : segmentsOf(match.path)
  const pattern = match.pattern === undefined ? undefined : new PathPattern(match.pattern, match.ignoreCase ?? false)
  return function rewritePath(path) {
    const segments = path.slice(1).replace(/^\/+/, '').split(/\/+/)
    const groups = pattern?.groupsOf(path)
    const valueOf = (name: string): string => {
      const index = matched.indexOf(`:${name}`)
      return index === -1 ? (groups?.(name) ?? '') : (segments[index] as string)
    }
    const start = parts.map(part => `/${part.startsWith(':') ? valueOf(part.slice(1)) : part}`).join('')
    if (pattern === undefined) return start + withoutSegments(path, matched.length) || '/'
    // A group may match any part of a path, such as `..` in `/a..b`, or half an escape.
    if (!isNormalPath(start)) throw new GatewayError('bad_request', { cause: new Error('ambiguous rewritten path') })
    return start || '/'
  }
}

/** `/a/b/:c` → `/a`, `/a/b` */
function literalPrefixes(path: string): string[] {
  if (path === '/') return []
  const segments = segmentsOf(path)
  const end = segments.findIndex(segment => segment.startsWith(':'))
  const literals = end === -1 ? segments : segments.slice(0, end)
  return literals.map((_, index) => `/${literals.slice(0, index + 1).join('/')}`)
}
