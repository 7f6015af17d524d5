import type { OverloadConfig } from '../config/types'
import { durationText } from '../config/values/duration'
import { REASONS } from '../errors/reasons'
import type { Line } from '../policies/define-policy'
import type { ShownRoute } from './shown-route'

/** Descriptions of routes for people, shared by the pages and the output of commands. */

export function matchText({ host, methods, path, exact, pattern, ignoreCase, headers }: ShownRoute): string {
  const conditions = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  const how = [
    ...(exact ? ['exact'] : []),
    ...(ignoreCase ? ['any case'] : []),
    ...(pattern === null ? [] : [`matching ${pattern}`]),
  ]
  const where = `${host ?? ''}${path}${how.length > 0 ? ` (${how.join(', ')})` : ''}`
  return [methods?.join(',') ?? 'any method', where, ...conditions].join(' ')
}

/** Describes where an accepted request goes. */
export function destinationText(route: ShownRoute): string {
  const rewrites = textsAbout(route, 'path')
  const rewritten = rewrites.length > 0 ? ` (${rewrites.join(', ')})` : ''
  return answerText(route) ?? `${route.upstream}${rewritten}`
}

/** Describes the local reply of a route without an upstream, or its split. */
export function answerText(route: ShownRoute): string | undefined {
  return textsAbout(route, 'answer')[0]
}

/** What the policies of a route say, subject by subject. */
export function textsAbout({ lines, upstream, split }: ShownRoute, ...subjects: Line['about'][]): string[] {
  const shown = subjects.filter(subject => upstream !== null || split !== null || subject !== 'upgrades')
  return shown.flatMap(subject => lines.filter(({ about }) => about === subject).map(({ text }) => text))
}

/** Describes when requests of all routes are refused for overload; undefined if never. */
export function overloadText({ maxRequests, maxEventLoopDelayMs }: OverloadConfig): string | undefined {
  const bounds = [
    ...(maxRequests === 0 ? [] : [`${maxRequests} requests at once`]),
    ...(maxEventLoopDelayMs === 0 ? [] : [`${durationText(maxEventLoopDelayMs)} of event loop delay`]),
  ]
  return bounds.length === 0 ? undefined : `${REASONS.shed.status} above ${bounds.join(' or ')}`
}
