import { createAddressBlocks } from '../../access/address-blocks'
import type { RateLimitPolicy } from '../../config/types'
import { GatewayError } from '../../errors/gateway-error'
import type { Exchange, Stage } from '../../exchange'
import type { RedisConnection } from '../../redis/connection'
import type { Route } from '../../routing/route'
import { Decisions } from './decisions'
import { TopOffenders, type PolicyOffenders } from './offenders'
import { PolicyGroup, retryAfterMs, type Verdict } from './policy-group'
import { createKeyOf } from './rate-limit-key'
import { DEGRADED_HEADER, limitItem, policyItem, seconds, setLegacyHeaders } from './rate-limit-headers'
import type { Standing } from './rate-limit-store'

export interface LimitRateOptions {
  readonly route: Route
  readonly replicas: number
  readonly redis: RedisConnection | undefined
}

export interface RateLimiter {
  /**
   * Refuses a client that is over a policy's limit: 429 with `Retry-After`, and on every answer `RateLimit` and
   * `RateLimit-Policy`.
   */
  readonly stage: Stage
  /** Who is limited, policy by policy. */
  offenders(): PolicyOffenders[]
  close(): void
}

/** What is known of one policy beside its count. */
interface Limited {
  readonly policy: RateLimitPolicy
  readonly item: string
  readonly decisions: Decisions
  readonly offenders: TopOffenders
}

/** Policies that are counted together. */
interface LimitedGroup {
  readonly keyOf: (exchange: Exchange) => string
  readonly bypasses: (clientAddress: string) => boolean
  readonly costsOf: (method: string) => readonly number[]
  readonly policies: readonly RateLimitPolicy[]
  readonly limited: readonly Limited[]
  readonly counts: PolicyGroup
}

/** All policies of one route. */
export function createRateLimiter({ route, replicas, redis }: LimitRateOptions): RateLimiter {
  const routeName = route.name
  const stores = redis === undefined ? (['local'] as const) : (['redis', 'local'] as const)
  const groups = grouped(route.config.rateLimits).map((policies): LimitedGroup => {
    const [{ key, bypass }] = policies
    return {
      keyOf: createKeyOf(key),
      bypasses: createAddressBlocks(bypass),
      costsOf: createCostsOf(policies),
      policies,
      limited: policies.map(policy => ({
        policy,
        item: policyItem(policy),
        decisions: new Decisions(route, policy, stores),
        offenders: new TopOffenders(routeName, policy),
      })),
      counts: new PolicyGroup({ routeName, policies, replicas, redis }),
    }
  })
  return {
    stage: createStage(groups),
    offenders: () =>
      groups.flatMap(({ limited }) =>
        limited.map(({ offenders }) => ({ ...offenders.list(), httpRoute: route.template })),
      ),
    close: () => {
      for (const { counts } of groups) counts.close()
    },
  }
}

/** What is counted together, in the order of the file: by the same key, for the same clients, with the same way out. */
function grouped(policies: readonly RateLimitPolicy[]): [RateLimitPolicy, ...RateLimitPolicy[]][] {
  const groups = new Map<string, [RateLimitPolicy, ...RateLimitPolicy[]]>()
  for (const policy of policies) {
    const { key, bypass, onStoreFailure } = policy
    const together = JSON.stringify([key, bypass, onStoreFailure])
    const group = groups.get(together)
    if (group === undefined) groups.set(together, [policy])
    else group.push(policy)
  }
  return [...groups.values()]
}

function createCostsOf(policies: readonly RateLimitPolicy[]): (method: string) => readonly number[] {
  const standard = policies.map(({ cost }) => cost.standard)
  const methods = new Set(policies.flatMap(({ cost }) => Object.keys(cost.methods)))
  if (methods.size === 0) return () => standard
  const byMethod = new Map(
    [...methods].map(method => [method, policies.map(({ cost }) => cost.methods[method] ?? cost.standard)]),
  )
  return method => byMethod.get(method) ?? standard
}

/** One request in one group. */
interface Judgement {
  readonly group: LimitedGroup
  readonly key: string
  readonly verdict: Verdict | Promise<Verdict>
}

function createStage(groups: readonly LimitedGroup[]): Stage {
  return function limitRate(exchange) {
    const judgements: Judgement[] = []
    let waits = false
    for (const group of groups) {
      if (group.bypasses(exchange.clientAddress)) continue
      const key = group.keyOf(exchange)
      // All are asked before the first is waited for.
      const verdict = group.counts.take(key, group.costsOf(exchange.request.method ?? 'GET'))
      if (verdict instanceof Promise) waits = true
      judgements.push({ group, key, verdict })
    }
    if (judgements.length === 0) return undefined
    if (!waits) return conclude(exchange, judgements, judgements.map(({ verdict }) => verdict) as Verdict[])
    return Promise.all(judgements.map(async ({ verdict }) => verdict)).then(verdicts =>
      conclude(exchange, judgements, verdicts),
    )
  }
}

/** Tells the client how it stands, notes the decisions, and refuses. */
function conclude(exchange: Exchange, judgements: readonly Judgement[], verdicts: readonly Verdict[]): void {
  const { response } = exchange
  const policyItems: string[] = []
  const limitItems: string[] = []
  let retryMs = 0
  let legacy: { readonly policy: RateLimitPolicy; readonly standing: Standing } | undefined
  for (const [g, { group, key }] of judgements.entries()) {
    const { store, standings, degraded } = verdicts[g] as Verdict
    if (degraded !== undefined) response.setHeader(DEGRADED_HEADER, degraded)
    if (degraded === 'closed') throw new GatewayError('limiter_unavailable', { headers: ['Retry-After', '1'] })
    if (standings !== undefined) retryMs = Math.max(retryMs, retryAfterMs(group.policies, standings))
    for (const [i, { policy, item, decisions, offenders }] of group.limited.entries()) {
      const standing = standings?.[i]
      exchange.limitDecisions.push(decisions.of(standing?.allowed !== false, store))
      if (standing?.allowed === false) offenders.note(key)
      // A dry run is nobody's business but the operator's.
      if (policy.dryRun) continue
      policyItems.push(item)
      if (standing === undefined) continue
      limitItems.push(limitItem(policy, standing))
      if (policy.legacyHeaders && standing.remaining < (legacy?.standing.remaining ?? Infinity)) {
        legacy = { policy, standing }
      }
    }
  }
  if (policyItems.length > 0) response.setHeader('RateLimit-Policy', policyItems)
  if (limitItems.length > 0) response.setHeader('RateLimit', limitItems)
  if (legacy !== undefined) setLegacyHeaders(response, legacy.policy, legacy.standing)
  if (retryMs > 0) throw new GatewayError('limited', { headers: ['Retry-After', String(seconds(retryMs))] })
}
