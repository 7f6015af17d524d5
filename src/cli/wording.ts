import type { GatewayConfig, RouteConfig, UpstreamConfig } from '../config/types'
import { durationText } from '../config/values/duration'
import { accessTexts, bodyText, changeTexts, corsText } from '../operations/route-wording'
import type { ShownRoute } from '../operations/shown-route'

/** What else is to be known of a route, besides where it leads and what limits it: one phrase each. */
export function conditionTexts(shown: ShownRoute, { timeouts }: RouteConfig): string[] {
  const body = bodyText(shown)
  return [
    ...accessTexts(shown),
    ...(shown.cors ? [corsText(shown.cors)] : []),
    ...(body === undefined ? [] : [body]),
    ...changeTexts(shown),
    ...(shown.retry === 'idempotent' ? [] : [`retries: ${shown.retry}`]),
    ...Object.entries(timeouts).map(([name, ms]) => `${name.replace(/Ms$/, '')} within ${durationText(ms)}`),
  ]
}

export function upstreamText({ targets, balance, retries, timeouts }: UpstreamConfig): string {
  const names = targets.map(({ origin, weight }) => (weight === 1 ? origin : `${origin} (weight ${weight})`))
  const tries = retries === undefined ? '' : `, up to ${retries.attempts} attempts`
  return `${names.join(', ')}${targets.length > 1 ? ` by ${balance}` : ''}${tries}, response within ${durationText(timeouts.responseMs)}`
}

export function upstreamOf(config: GatewayConfig, { upstream }: RouteConfig): UpstreamConfig | undefined {
  return config.upstreams.find(({ name }) => name === upstream)
}
