import { definePolicy as defineInternal, type Policy } from '../define-policy'
import { guardedHooks } from './guarded-hooks'
import type { DefinedPolicy } from './define-policy'

/** Makes a policy of the registry's kind: a key that may be left out, with hooks that cannot harm the gateway. */
export function toPolicy(definition: DefinedPolicy): Policy {
  const { name, schema, under = 'route', onFailure = 'closed' } = definition
  return defineInternal({
    name,
    schema: schema.optional(),
    under,
    // What it does when it is only asked, the gateway cannot know.
    hasSideEffects: true,
    create: (config, { log }) => guardedHooks(definition, config, log),
    refuses: () => (onFailure === 'closed' ? ['policy_failed'] : []),
    describe: config => [{ about: 'changes', subject: 'policy', text: definition.describe?.(config) ?? name }],
  })
}
