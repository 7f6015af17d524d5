import { createAddressBlocks } from '../../access/address-blocks'
import type { RateLimitPolicy } from './schema'
import type { Exchange } from '../../exchange/exchange'
import type { RedisConnection } from '../../redis/connection'
import type { Route } from '../../routing/route'
import { Decisions } from './decisions'
import { TopOffenders } from './offenders'
import { PolicyGroup } from './policy-group'
import { policyItem } from './rate-limit-headers'
import { createKeyOf } from './rate-limit-key'

export interface LimitRateOptions {
  readonly route: Route
  readonly policies: readonly RateLimitPolicy[]
  readonly replicas: number
  readonly redis: RedisConnection | undefined
  /** Returns the counts of a policy that several routes share. Undefined: the route counts for itself. */
  readonly sharedCounts?: ((policies: Policies) => PolicyGroup) | undefined
}

/** A policy with everything but its count. */
export interface Limited {
  /** Policy with the limit of the tier. */
  readonly policy: RateLimitPolicy
  readonly item: string
  readonly decisions: Decisions
  readonly offenders: TopOffenders
}

/** Policies of a group with the limits and counts of one tier. A client is in one tier, so counts are not shared. */
export interface LimitedTier {
  readonly policies: readonly RateLimitPolicy[]
  readonly limited: readonly Limited[]
  readonly counts: PolicyGroup
}

/** Policies that are counted together. */
export interface LimitedGroup {
  readonly keyOf: (exchange: Exchange) => string
  readonly bypasses: (clientAddress: string) => boolean
  readonly costsOf: (method: string) => readonly number[]
  /** Whether the upstream reports the cost under a policy. */
  readonly isCharged: boolean
  readonly standard: LimitedTier
  /** Tiers for which a policy has its own limit. */
  readonly tiers: ReadonlyMap<string, LimitedTier>
}

export type Policies = readonly [RateLimitPolicy, ...RateLimitPolicy[]]

export function createGroups(options: LimitRateOptions): LimitedGroup[] {
  const { policies, sharedCounts } = options
  // A shared policy is counted by itself: other routes have it with other policies.
  const groups = sharedCounts === undefined ? grouped(policies) : policies.map((policy): Policies => [policy])
  return groups.map(group => createGroup(group, options))
}

/** Groups policies, in the order of the file, by key, clients and `onStoreFailure`. */
function grouped(policies: readonly RateLimitPolicy[]): Policies[] {
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

function createGroup(policies: Policies, { route, replicas, redis, sharedCounts }: LimitRateOptions): LimitedGroup {
  const [{ key, bypass }] = policies
  const stores = redis === undefined ? (['local'] as const) : (['redis', 'local'] as const)
  // Shared by all tiers: metrics and lists of offenders distinguish policies, not tiers.
  const shared = policies.map(policy => ({
    decisions: new Decisions(route, policy, stores),
    offenders: new TopOffenders(route.name, policy),
  }))
  const createTier = (ofTier: Policies): LimitedTier => ({
    policies: ofTier,
    limited: ofTier.map((policy, i) => ({
      policy,
      item: policyItem(policy),
      ...(shared[i] as Pick<Limited, 'decisions' | 'offenders'>),
    })),
    counts: sharedCounts?.(ofTier) ?? new PolicyGroup({ routeName: route.name, policies: ofTier, replicas, redis }),
  })
  const tiers = new Set(policies.flatMap(policy => Object.keys(policy.tiers)))
  return {
    keyOf: createKeyOf(key),
    bypasses: createAddressBlocks(bypass),
    costsOf: createCostsOf(policies),
    isCharged: policies.some(({ cost }) => cost.responseHeader !== undefined),
    standard: createTier(policies),
    tiers: new Map([...tiers].map(tier => [tier, createTier(withLimitsOf(tier, policies))])),
  }
}

/** Returns all variants of a policy: the standard one, and one for each tier. */
export function variantsOf(policy: RateLimitPolicy): RateLimitPolicy[] {
  return [policy, ...Object.keys(policy.tiers).flatMap(tier => withLimitsOf(tier, [policy]))]
}

function withLimitsOf(tier: string, [first, ...others]: Policies): Policies {
  const ofTier = (policy: RateLimitPolicy): RateLimitPolicy => ({
    ...policy,
    limit: policy.tiers[tier] ?? policy.limit,
  })
  return [ofTier(first), ...others.map(ofTier)]
}

function createCostsOf(policies: readonly RateLimitPolicy[]): (method: string) => readonly number[] {
  const standard = policies.map(({ cost }) => cost.standard)
  const methods = new Set(policies.flatMap(({ cost }) => Object.keys(cost.methods)))
  if (methods.size === 0) return () => standard
  // The upstream does the same work for HEAD as for GET (RFC 9110 §9.3.2): a cheaper HEAD would bypass the limit.
  if (methods.has('GET')) methods.add('HEAD')
  const costOf = ({ cost }: RateLimitPolicy, method: string): number =>
    cost.methods[method] ?? (method === 'HEAD' ? cost.methods['GET'] : undefined) ?? cost.standard
  const byMethod = new Map([...methods].map(method => [method, policies.map(policy => costOf(policy, method))]))
  return method => byMethod.get(method) ?? standard
}
