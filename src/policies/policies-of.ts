import type { RegistryEntry } from './define-policy'
import type { PolicyFile } from './own/load-policies'
import { POLICIES } from './registry'

interface OwnPolicies {
  /** Policies of the registry and of the file. */
  readonly entries: readonly RegistryEntry[]
  readonly files: readonly PolicyFile[]
}

/** Custom policies by configuration. Not stored in it: it is deeply frozen, and schemas and modules cannot be. */
const byConfig = new WeakMap<object, OwnPolicies>()

export function rememberPolicies(config: object, own: OwnPolicies): void {
  byConfig.set(config, own)
}

/** Uses the policies of one configuration for another one with the same routes. */
export function rememberSamePolicies(config: object, other: object): void {
  const own = byConfig.get(other)
  if (own !== undefined) byConfig.set(config, own)
}

/** Returns all policies that routes of a configuration may use, in the order in which they run. */
export function policiesOf(config: object): readonly RegistryEntry[] {
  return byConfig.get(config)?.entries ?? POLICIES
}

/** Returns the policy modules that a configuration loaded. */
export function policyFilesOf(config: object): readonly PolicyFile[] {
  return byConfig.get(config)?.files ?? []
}
