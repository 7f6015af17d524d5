import { choice } from '../../config/values/choice'
import { field } from '../../config/values/field'
import { GatewayError } from '../../errors/gateway-error'
import type { Stage } from '../../exchange/exchange'
import { definePolicy } from '../define-policy'

/** Refuses `;` in paths: some upstreams remove it with the rest of the segment, so `/admin;x` is `/admin` for them. */
export const semicolons = definePolicy({
  name: 'semicolons',
  schema: field(choice(['allow', 'refuse']), {
    description:
      'Whether a path may have `;` in it, also as `%3B`; if not, 400. For upstreams that read `/admin;x` as `/admin` (Java servlets).',
    type: 'string',
    enum: ['allow', 'refuse'],
  }).prefault('allow'),
  create: config => (config === 'refuse' ? { onRequest: refuseSemicolons } : {}),
  refuses: config => (config === 'refuse' ? ['bad_request'] : []),
  describe: config => (config === 'refuse' ? [{ about: 'clients', text: 'no ; in paths' }] : []),
})

const refuseSemicolons: Stage = function refuseSemicolons({ path }) {
  if (/;|%3B/.test(path)) throw new GatewayError('bad_request', { cause: new Error('semicolon in the path') })
}
