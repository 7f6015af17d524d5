import { hostField } from '../../config/fields'
import { hostSentText } from '../../config/values/host-sent'
import { definePolicy } from '../define-policy'

/** `Host` field of upstream calls; overrides the upstream's own setting. */
export const host = definePolicy({
  name: 'host',
  schema: hostField(
    'The `Host` that targets get, instead of the `host` of the upstream: `target`, `client`, or a name ([more](#what-upstreams-are-told)).',
    '`target`, `client`, host name',
    ['client', 'shop.internal'],
  ).optional(),
  example: `
# A site that writes links to itself and needs its public name.
- name: blog
  match: { host: blog.shop.example, path: / }
  upstream: web
  host: client
`,
  needsUpstream: true,
  create: config => ({ forwarding: { host: config } }),
  describe: config => [{ about: 'calls', text: `Host: ${hostSentText(config)}` }],
})
