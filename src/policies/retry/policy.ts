import { choice } from '../../config/values/choice'
import { field } from '../../config/values/field'
import { definePolicy } from '../define-policy'

/** Which requests may reach the upstream more than once, if it has `retries` at all. */
export const retry = definePolicy({
  name: 'retry',
  schema: field(choice(['idempotent', 'always', 'never']), {
    description:
      'Which requests may be retried if the upstream has `retries`: those with an idempotent method, all, or none.',
    type: 'string',
    enum: ['idempotent', 'always', 'never'],
  }).prefault('idempotent'),
  needsUpstream: true,
  create: config => ({ forwarding: { retry: config } }),
  describe: config => (config === 'idempotent' ? [] : [{ about: 'calls', text: `retries: ${config}` }]),
})
