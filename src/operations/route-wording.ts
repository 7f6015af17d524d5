import type { OverloadConfig } from '../config/types'
import { durationText } from '../config/values/duration'
import { sizeText } from '../config/values/size'
import { DEFAULT_IDLE_TIMEOUT } from '../config/values/websocket'
import { REASONS } from '../errors/reasons'
import type { ShownAuth, ShownCors, ShownEdits, ShownLimit, ShownRoute } from './shown-route'

/** What routes do, as people say it: the same words on pages and in what the commands print. */

export function matchText({ host, methods, path, exact, headers }: ShownRoute): string {
  const conditions = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return [methods?.join(',') ?? 'any method', `${host ?? ''}${path}${exact ? ' (exact)' : ''}`, ...conditions].join(' ')
}

/** What becomes of a request that is let through. */
export function destinationText(route: ShownRoute): string {
  const rewrites = rewriteTexts(route)
  return answerText(route) ?? `${route.upstream}${rewrites.length > 0 ? ` (${rewrites.join(', ')})` : ''}`
}

/** What the gateway answers in the place of an upstream. */
export function answerText({ redirect, respond, maintenance }: ShownRoute): string | undefined {
  if (maintenance) return `${REASONS.maintenance.status} for maintenance`
  if (redirect) return `${redirect.status} to ${redirect.to}`
  return respond ? `${respond.status} with ${respond.bodyBytes} bytes, the same for all` : undefined
}

export function rewriteTexts({ rewrite: { stripPrefix, addPrefix } }: ShownRoute): string[] {
  return [
    ...(stripPrefix === undefined ? [] : [`without ${stripPrefix}`]),
    ...(addPrefix === undefined ? [] : [`with ${addPrefix} in front`]),
  ]
}

export function limitText(shown: ShownLimit): string {
  const { policy, limit, tiers, windowMs, key, algorithm, dryRun, onStoreFailure } = shown
  const notes = [
    ...(policy === 'default' ? [] : [policy]),
    ...Object.entries(tiers).map(([tier, tierLimit]) => `${tier} ${tierLimit}`),
    ...(algorithm === 'gcra' ? ['evenly'] : []),
    ...(onStoreFailure === 'local' ? [] : [`${onStoreFailure} without Redis`]),
    ...(dryRun ? ['dry run'] : []),
  ]
  return `${limit} per ${durationText(windowMs)} by ${key.join(' and ')}${notes.length > 0 ? ` (${notes.join(', ')})` : ''}`
}

export function authText({ apiKeyHeader, tokens, scopes }: ShownAuth): string {
  const credentials = [
    ...(apiKeyHeader === null ? [] : [`an API key in ${apiKeyHeader}`]),
    ...(tokens === null ? [] : [`a token of ${tokens}`]),
  ]
  return `${credentials.join(' or ')}${scopes.length > 0 ? ` with ${scopes.join(', ')}` : ''}`
}

export function corsText({ origins, methods, credentials }: ShownCors): string {
  const whose = origins.includes('*') ? 'any origin' : origins.join(', ')
  return `pages of ${whose}${methods === null ? '' : ` by ${methods.join(', ')}`}${credentials ? ' with credentials' : ''}`
}

export function accessTexts({ access }: ShownRoute): string[] {
  return access.flatMap(({ allow, deny }) => [
    ...(allow.length > 0 ? [`only from ${allow.join(', ')}`] : []),
    ...(deny.length > 0 ? [`not from ${deny.join(', ')}`] : []),
  ])
}

export function bodyText({ maxBodyBytes }: ShownRoute): string | undefined {
  return maxBodyBytes === null ? undefined : `bodies up to ${sizeText(maxBodyBytes)}`
}

/** What is different on its way to the upstream, and back. */
export function changeTexts({ upstream, requestHeaders, responseHeaders, webSocket }: ShownRoute): string[] {
  return [
    ...editTexts('request', requestHeaders),
    ...editTexts('response', responseHeaders),
    ...(upstream === null ? [] : webSocketTexts(webSocket)),
  ]
}

function editTexts(what: string, { set, add, remove }: ShownEdits): string[] {
  const parts = [...said(set, 'set'), ...said(add, 'added'), ...said(remove, 'removed')]
  return parts.length === 0 ? [] : [`${what} with ${parts.join(', ')}`]
}

function said(names: readonly string[], what: string): string[] {
  return names.length === 0 ? [] : [`${names.join(' and ')} ${what}`]
}

/** Nothing where it is as always. */
function webSocketTexts(webSocket: ShownRoute['webSocket']): string[] {
  if (webSocket === null) return ['no WebSockets']
  const idle = durationText(webSocket.idleMs)
  return idle === DEFAULT_IDLE_TIMEOUT ? [] : [`WebSockets silent for up to ${idle}`]
}

/** From when on requests are turned away, whatever their route; undefined: never. */
export function overloadText({ maxRequests, maxEventLoopDelayMs }: OverloadConfig): string | undefined {
  const bounds = [
    ...(maxRequests === 0 ? [] : [`${maxRequests} requests at once`]),
    ...(maxEventLoopDelayMs === 0 ? [] : [`${durationText(maxEventLoopDelayMs)} of event loop delay`]),
  ]
  return bounds.length === 0 ? undefined : `${REASONS.shed.status} above ${bounds.join(' or ')}`
}
