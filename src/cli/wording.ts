import type { AuthConfig, GatewayConfig, RateLimitPolicy, RouteConfig, UpstreamConfig } from '../config/types'
import { REASONS } from '../errors/reasons'

/** What routes do, as people say it. */

export function matchText({ host, methods, path, exact, headers }: RouteConfig['match']): string {
  const conditions = headers.map(({ name, value }) => `${name}: ${value}`)
  return [methods?.join(',') ?? 'any method', `${host ?? ''}${path}${exact ? ' (exact)' : ''}`, ...conditions].join(' ')
}

/** What becomes of a request that is let through. */
export function destinationText({ upstream, redirect, respond, rewrite, maintenance }: RouteConfig): string {
  if (maintenance) return `${REASONS.maintenance.status} for maintenance`
  if (redirect) return `${redirect.status} to ${redirect.to}${redirect.keepsRest ? ' and what is below the path' : ''}`
  if (respond)
    return `${respond.status}${respond.body === undefined ? '' : ` with ${Buffer.byteLength(respond.body)} bytes`}`
  const { stripPrefix, addPrefix } = rewrite
  const rewrites = [stripPrefix && `without ${stripPrefix}`, addPrefix && `with ${addPrefix} in front`].filter(Boolean)
  return `${upstream}${rewrites.length > 0 ? ` (${rewrites.join(', ')})` : ''}`
}

export function limitText(policy: RateLimitPolicy): string {
  const { name, limit, tiers, windowMs, key, algorithm, dryRun } = policy
  const ofTiers = Object.entries(tiers).map(([tier, tierLimit]) => `${tier} ${tierLimit}`)
  const notes = [name !== 'default' && name, ...ofTiers, algorithm === 'gcra' && 'evenly', dryRun && 'dry run'].filter(
    Boolean,
  )
  return `${limit} per ${durationText(windowMs)} by ${key.join(' and ')}${notes.length > 0 ? ` (${notes.join(', ')})` : ''}`
}

export function authText({ apiKey, jwt, scopes }: AuthConfig): string {
  const credentials = [apiKey && `an API key in ${apiKey.header}`, jwt && `a token of ${jwt.tokens.name}`].filter(
    Boolean,
  )
  return `${credentials.join(' or ')}${scopes.length > 0 ? ` with ${scopes.join(', ')}` : ''}`
}

/** What else is to be known of a route: one phrase each. */
export function conditionTexts({ access, maxBodyBytes, webSocket, retry, timeouts }: RouteConfig): string[] {
  const times = Object.entries(timeouts).map(([name, ms]) => `${name.replace(/Ms$/, '')} within ${durationText(ms)}`)
  return [
    ...access.map(({ allow, deny }) =>
      [allow.length > 0 && `only from ${allow.join(', ')}`, deny.length > 0 && `not from ${deny.join(', ')}`]
        .filter(Boolean)
        .join(', '),
    ),
    ...(maxBodyBytes === undefined ? [] : [`bodies up to ${sizeText(maxBodyBytes)}`]),
    ...(webSocket === false ? ['no WebSockets'] : []),
    ...(retry === 'idempotent' ? [] : [`retries: ${retry}`]),
    ...times,
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

const DURATIONS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const

export function durationText(ms: number): string {
  const [unit, length] = DURATIONS.find(([, unitMs]) => ms >= unitMs && ms % unitMs === 0) ?? ['ms', 1]
  return `${ms / length}${unit}`
}

function sizeText(bytes: number): string {
  if (bytes >= 1_048_576 && bytes % 1_048_576 === 0) return `${bytes / 1_048_576}MiB`
  return bytes >= 1_024 && bytes % 1_024 === 0 ? `${bytes / 1_024}KiB` : `${bytes}B`
}
