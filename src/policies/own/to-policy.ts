import { definePolicy as defineInternal, type Policy } from '../define-policy'
import { guardedHooks } from './guarded-hooks'
import type { DefinedPolicy } from './define-policy'

/** Converts a custom policy to one of the registry: an optional key with guarded hooks. */
export function toPolicy(definition: DefinedPolicy): Policy {
  const { name, schema, under = 'route', onFailure = 'closed' } = definition
  return defineInternal({
    name,
    schema: schema.optional(),
    under,
    // The gateway cannot know whether its hooks have side effects.
    hasSideEffects: true,
    create: (config, { log, route }) =>
      guardedHooks(definition, config, { log, route: under === 'route' ? route.name : undefined }),
    refuses: () => (onFailure === 'closed' ? ['policy_failed'] : []),
    describe: config => [{ about: 'changes', subject: 'policy', text: definition.describe?.(config) ?? name }],
  })
}
