import type { OverloadConfig } from '../config/types'
import { durationText } from '../config/values/duration'
import { REASONS } from '../errors/reasons'
import type { Line } from '../policies/define-policy'
import type { ShownRoute } from './shown-route'

/** What routes do, as people say it: the same words on pages and in what the commands print. */

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

/** What becomes of a request that is let through. */
export function destinationText(route: ShownRoute): string {
  const rewrites = textsAbout(route, 'path')
  return answerText(route) ?? `${route.upstream}${rewrites.length > 0 ? ` (${rewrites.join(', ')})` : ''}`
}

/** What the gateway answers in the place of an upstream. */
export function answerText(route: ShownRoute): string | undefined {
  return textsAbout(route, 'answer')[0]
}

/** What the policies of a route say, subject by subject. */
export function textsAbout({ lines, upstream }: ShownRoute, ...subjects: Line['about'][]): string[] {
  const shown = subjects.filter(subject => upstream !== null || subject !== 'upgrades')
  return shown.flatMap(subject => lines.filter(({ about }) => about === subject).map(({ text }) => text))
}

/** From when on requests are turned away, whatever their route; undefined: never. */
export function overloadText({ maxRequests, maxEventLoopDelayMs }: OverloadConfig): string | undefined {
  const bounds = [
    ...(maxRequests === 0 ? [] : [`${maxRequests} requests at once`]),
    ...(maxEventLoopDelayMs === 0 ? [] : [`${durationText(maxEventLoopDelayMs)} of event loop delay`]),
  ]
  return bounds.length === 0 ? undefined : `${REASONS.shed.status} above ${bounds.join(' or ')}`
}
