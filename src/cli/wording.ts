import type { GatewayConfig, RouteConfig } from '../config/gateway-config'
import type { UpstreamConfig } from '../config/types'
import { sourceText } from '../config/values/target-source'
import { hostSentText } from '../config/values/host-sent'
import { durationText } from '../config/values/duration'

export function upstreamText({
  targets,
  discovery,
  host,
  balance,
  affinity,
  retries,
  timeouts,
}: UpstreamConfig): string {
  const names = targets.map(({ origin, weight }) => (weight === 1 ? origin : `${origin} (weight ${weight})`))
  for (const source of discovery?.sources ?? []) names.push(sourceText(source))
  const tries = retries === undefined ? '' : `, up to ${retries.attempts} attempts`
  return `${names.join(', ')}${targets.length > 1 || discovery !== undefined ? ` by ${balance}` : ''}${affinity === undefined ? '' : `, sticky by cookie ${affinity.name}`}${tries}${host === undefined ? '' : `, Host: ${hostSentText(host)}`}, response within ${durationText(timeouts.responseMs)}`
}

/** The upstreams that may get the requests of a route: its own, or those of the variants of its split. */
export function upstreamsOf(config: GatewayConfig, { upstream, split }: RouteConfig): UpstreamConfig[] {
  const names = split === undefined ? [upstream] : split.variants.map(variant => variant.upstream)
  return config.upstreams.filter(({ name }) => names.includes(name))
}

export function upstreamOf(config: GatewayConfig, { upstream }: RouteConfig): UpstreamConfig | undefined {
  return config.upstreams.find(({ name }) => name === upstream)
}
