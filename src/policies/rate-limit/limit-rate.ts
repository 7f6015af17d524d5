import { context } from '@opentelemetry/api'
import type { RateLimitPolicy } from './schema'
import { GatewayError } from '../../errors/gateway-error'
import type { Exchange, ResponseHook, Stage } from '../../exchange/exchange'
import type { RedisConnection } from '../../redis/connection'
import { Charge, createChargeHook } from './charges'
import { createGroups, type LimitedGroup, type LimitedTier, type LimitRateOptions } from './limited-groups'
import type { PolicyOffenders } from './offenders'
import { retryAfterMs, type Verdict } from './policy-group'
import { DEGRADED_HEADER, limitItem, seconds, setField, setLegacyHeaders } from './rate-limit-headers'
import { countsConsumers } from './rate-limit-key'
import type { Standing } from './rate-limit-store'

/**
 * Stages that refuse clients over a policy's limit: 429 with `Retry-After`, and `RateLimit` and `RateLimit-Policy` on every
 * response. A request counts against all policies of a stage with the same key, or against none.
 */
export interface RateLimiter {
  /** Runs before authentication; undefined without such policies. */
  readonly limitAddresses: Stage | undefined
  /** Runs after authentication: policies that count consumers or their keys. */
  readonly limitConsumers: Stage | undefined
  /** Charges the costs that the upstream reports; undefined if no policy has any. */
  readonly chargeReported: ResponseHook | undefined
  /** Returns limited clients per policy. */
  offenders(): PolicyOffenders[]
  close(): void
}

/** Creates the limiter of a route with all its policies. */
export function createRateLimiter(options: LimitRateOptions): RateLimiter {
  const { route, redis } = options
  const groups = createGroups(options)
  const ofConsumers = groups.filter(({ standard }) => standard.policies.some(({ key }) => countsConsumers(key)))
  const ofAddresses = groups.filter(group => !ofConsumers.includes(group))
  return {
    limitAddresses: ofAddresses.length > 0 ? createStage(ofAddresses, redis) : undefined,
    limitConsumers: ofConsumers.length > 0 ? createStage(ofConsumers, redis) : undefined,
    chargeReported: createChargeHook(options.policies),
    offenders: () =>
      groups.flatMap(({ standard }) =>
        standard.limited.map(({ offenders }) => ({ ...offenders.list(), httpRoute: route.template })),
      ),
    close: () => {
      // Shared counts belong to no route.
      if (options.sharedCounts !== undefined) return
      for (const { standard, tiers } of groups) {
        for (const { counts } of [standard, ...tiers.values()]) counts.close()
      }
    },
  }
}

/** One request in one group. */
interface Judgement {
  readonly group: LimitedGroup
  readonly tier: LimitedTier
  readonly key: string
  readonly verdict: Verdict | Promise<Verdict>
}

function createStage(groups: readonly LimitedGroup[], redis: RedisConnection | undefined): Stage {
  function limitRate(exchange: Exchange): void | Promise<void> {
    const judgements: Judgement[] = []
    let waits = false
    for (const group of groups) {
      if (group.bypasses(exchange.clientAddress)) continue
      const key = group.keyOf(exchange)
      const tier = tierOf(group, exchange)
      // All groups start before the first is awaited.
      const verdict = tier.counts.take(key, group.costsOf(exchange.request.method ?? 'GET'))
      if (verdict instanceof Promise) waits = true
      judgements.push({ group, tier, key, verdict })
    }
    if (judgements.length === 0) return undefined
    if (!waits) return conclude(exchange, judgements, judgements.map(({ verdict }) => verdict) as Verdict[])
    return Promise.all(judgements.map(async ({ verdict }) => verdict)).then(verdicts =>
      conclude(exchange, judgements, verdicts),
    )
  }
  if (redis === undefined) return limitRate
  return function limitRateInContext(exchange) {
    // The spans of the commands that are sent are children of the request's.
    return context.with(exchange.context, limitRate, undefined, exchange)
  }
}

function tierOf({ standard, tiers }: LimitedGroup, { consumer }: Exchange): LimitedTier {
  return (consumer?.tier === undefined ? undefined : tiers.get(consumer.tier)) ?? standard
}

/** Sets the rate limit fields, records the decisions, and refuses the request if it is over a limit. */
function conclude(exchange: Exchange, judgements: readonly Judgement[], verdicts: readonly Verdict[]): void {
  const fields = (exchange.limitFields ??= [])
  const violated: string[] = []
  let retryMs = 0
  let legacy: { readonly policy: RateLimitPolicy; readonly standing: Standing } | undefined
  for (const [g, { group, tier, key }] of judgements.entries()) {
    const { store, standings, degraded } = verdicts[g] as Verdict
    if (degraded !== undefined) setField(fields, DEGRADED_HEADER, degraded)
    if (degraded === 'closed') throw new GatewayError('limiter_unavailable', { headers: ['Retry-After', '1'] })
    if (group.isCharged && standings !== undefined) {
      const taken = group.costsOf(exchange.request.method ?? 'GET')
      ;(exchange.limitCharges ??= []).push(new Charge(tier, key, taken, standings))
    }
    if (standings !== undefined) retryMs = Math.max(retryMs, retryAfterMs(tier.policies, standings))
    for (const [i, { policy, item, decisions, offenders }] of tier.limited.entries()) {
      const standing = standings?.[i]
      exchange.limitDecisions.push(decisions.of(standing?.allowed !== false, store))
      if (standing?.allowed === false) offenders.note(key)
      // Dry runs are not shown to clients.
      if (policy.dryRun) continue
      fields.push('RateLimit-Policy', item)
      if (standing === undefined) continue
      fields.push('RateLimit', limitItem(policy, standing))
      if (!standing.allowed) violated.push(policy.name)
      if (policy.legacyHeaders && standing.remaining < (legacy?.standing.remaining ?? Infinity)) {
        legacy = { policy, standing }
      }
    }
  }
  if (legacy !== undefined) setLegacyHeaders(fields, legacy.policy, legacy.standing)
  if (retryMs > 0) {
    throw new GatewayError('limited', {
      headers: ['Retry-After', String(seconds(retryMs))],
      members: { 'violated-policies': violated },
    })
  }
}
