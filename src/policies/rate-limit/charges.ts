import type { LimitCharge, ResponseHead, ResponseHook } from '../../exchange/exchange'
import { reportedCost } from './cost'
import type { LimitedTier } from './limited-groups'
import { limitItem, setLegacyHeaders } from './rate-limit-headers'
import type { Standing } from './rate-limit-store'
import type { RateLimitPolicy } from './schema'

/**
 * Creates the hook that charges costs that the upstream reports, and removes the fields with them; undefined if no policy
 * has any.
 */
export function createChargeHook(policies: readonly RateLimitPolicy[]): ResponseHook | undefined {
  const reporting = policies.filter(({ cost }) => cost.responseHeader !== undefined)
  if (reporting.length === 0) return undefined
  const removed = new Set(reporting.flatMap(({ cost }) => (cost.forwardsHeader ? [] : [cost.responseHeader as string])))
  return function chargeReported(exchange, head) {
    const { limitCharges, limitFields = [] } = exchange
    if (limitCharges !== undefined) {
      // All limits of the request at once: the field may be removed below, and a later hook must not charge again.
      exchange.limitCharges = undefined
      for (const one of limitCharges) one.charge(limitFields, head)
    }
    if (removed.size > 0) remove(head.fields, removed)
  }
}

function remove(fields: string[], names: ReadonlySet<string>): void {
  let kept = 0
  for (let i = 0; i < fields.length; i += 2) {
    if (names.has((fields[i] as string).toLowerCase())) continue
    fields[kept++] = fields[i] as string
    fields[kept++] = fields[i + 1] as string
  }
  fields.length = kept
}

/** One request that was counted by policies of which some learn its cost from the response. */
export class Charge implements LimitCharge {
  readonly #tier: LimitedTier
  readonly #key: string
  /** What the request was counted as. */
  readonly #taken: readonly number[]
  readonly #standings: readonly Standing[]

  constructor(tier: LimitedTier, key: string, taken: readonly number[], standings: readonly Standing[]) {
    this.#tier = tier
    this.#key = key
    this.#taken = taken
    this.#standings = standings
  }

  charge(limitFields: string[], head: ResponseHead): void {
    const { policies, counts } = this.#tier
    const extra = policies.map((policy, i) => this.#extraOf(policy, i, head))
    if (extra.every(cost => cost === 0)) return
    counts.charge(this.#key, extra)
    for (const [i, policy] of policies.entries()) {
      const cost = extra[i] as number
      if (cost > 0 && !policy.dryRun) correct(limitFields, head, policy, this.#standings[i] as Standing, cost)
    }
  }

  /** Returns what the request costs beyond what it was counted as. */
  #extraOf({ cost, limit }: RateLimitPolicy, index: number, { fields }: ResponseHead): number {
    // A refused request has not reached the upstream, and was not counted.
    if (cost.responseHeader === undefined || this.#standings[index]?.allowed !== true) return 0
    const value = valueOf(fields, cost.responseHeader)
    const reported = value === undefined ? undefined : reportedCost(value.trim(), limit)
    return reported === undefined ? 0 : Math.max(0, reported - (this.#taken[index] as number))
  }
}

function valueOf(fields: readonly string[], name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if ((fields[i] as string).toLowerCase() === name) return fields[i + 1]
  return undefined
}

/** Writes the rest of the limit after the charge into the fields of the response. */
function correct(
  limitFields: string[],
  { fields }: ResponseHead,
  policy: RateLimitPolicy,
  standing: Standing,
  cost: number,
): void {
  const { algorithm, limit, windowMs } = policy
  const after = {
    ...standing,
    remaining: Math.max(0, standing.remaining - cost),
    resetMs: algorithm === 'gcra' ? standing.resetMs + (cost * windowMs) / limit : standing.resetMs,
  }
  const before = limitItem(policy, standing)
  const item = limitItem(policy, after)
  replaceItem(limitFields, before, item)
  // If the upstream has such fields too, those of the gateway are among them already.
  replaceItem(fields, before, item)
  if (policy.legacyHeaders) setLegacyHeaders(limitFields, policy, after)
}

function replaceItem(fields: string[], before: string, item: string): void {
  for (let i = 1; i < fields.length; i += 2) {
    if (fields[i] === before && (fields[i - 1] as string).toLowerCase() === 'ratelimit') fields[i] = item
  }
}
