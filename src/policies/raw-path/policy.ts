import { parseFlag } from '../../config/values/choice'
import { field } from '../../config/values/field'
import { definePolicy } from '../define-policy'

/** Forwards paths as received. Routes still match the normalised path. */
export const rawPath = definePolicy({
  name: 'rawPath',
  schema: field(parseFlag, {
    description:
      'Whether the upstream gets paths as they came: `%2F` in a segment (elsewhere 400), `//`, escapes in their case. For services such as GitLab and npm registries. An upstream that decodes `%2F` sees other paths than the routes do: rules that guard by path must then be its own ([more](#paths-of-requests)).',
    type: 'boolean',
  }).prefault(false),
  example: `
# A package registry: @scope%2Fname is one segment.
- name: packages
  match: { host: npm.shop.example, path: / }
  upstream: web
  rawPath: true
`,
  needsUpstream: true,
  create: isRaw => (isRaw ? { forwarding: { rawPath: true } } : {}),
  describe: isRaw => (isRaw ? [{ about: 'path', text: 'as it came' }] : []),
})
