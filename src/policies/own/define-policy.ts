import type { z } from 'zod'
import type { ContextHooks } from '../policy-context'

/** Marks what `definePolicy` returns, also in another copy of the package. The number is the version of the contract. */
export const POLICY_MARK = Symbol.for('myesi-gateway.policy.1')

/** A policy that is not part of the gateway. */
export interface PolicyDefinition<Schema extends z.ZodType = z.ZodType> {
  /** The key in `gateway.yaml`: lower case with a hyphen, as in `acme-tenant`. Keys of the gateway have no hyphen. */
  readonly name: string
  /** What the key may hold. A route without the key does not have the policy. */
  readonly schema: Schema
  /** Where the key is: at a route (default), or at `entrypoint`, for every request before it is routed. */
  readonly under?: 'route' | 'entrypoint'
  /** What becomes of a request when the policy throws or takes too long. `closed` (default): 500. `open`: it passes. */
  readonly onFailure?: 'closed' | 'open'
  /** Milliseconds that a promise of `onArrival` or `onRequest` may take. Default 1000. */
  readonly timeoutMs?: number
  /** Called once for each route with the key, whenever `gateway.yaml` is read. */
  create(config: z.output<Schema>): ContextHooks
  /** What `/routes`, `routes` and `explain` say of it. Never a secret. Default: its name. */
  describe?(config: z.output<Schema>): string
}

/** A definition that `policies` of `gateway.yaml` can load. */
export type DefinedPolicy = PolicyDefinition & { readonly [POLICY_MARK]: true }

/** Defines a policy; the module that `policies` of `gateway.yaml` names exports it. */
export function definePolicy<Schema extends z.ZodType>(definition: PolicyDefinition<Schema>): DefinedPolicy {
  return { ...(definition as unknown as PolicyDefinition), [POLICY_MARK]: true }
}
