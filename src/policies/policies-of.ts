import type { RegistryEntry } from './define-policy'
import type { PolicyFile } from './own/load-policies'
import { POLICIES } from './registry'

interface OwnPolicies {
  /** Those of the registry and those of the file. */
  readonly entries: readonly RegistryEntry[]
  readonly files: readonly PolicyFile[]
}

/** Not in the configuration itself, which is frozen all the way down: schemas and modules cannot be. */
const byConfig = new WeakMap<object, OwnPolicies>()

export function rememberPolicies(config: object, own: OwnPolicies): void {
  byConfig.set(config, own)
}

/** All policies that the routes of a configuration may have, in the order in which they run. */
export function policiesOf(config: object): readonly RegistryEntry[] {
  return byConfig.get(config)?.entries ?? POLICIES
}

/** The modules that a configuration loaded. */
export function policyFilesOf(config: object): readonly PolicyFile[] {
  return byConfig.get(config)?.files ?? []
}
