import { z } from 'zod'
import { numberField } from '../../config/fields'
import { field } from '../../config/values/field'
import { referenceTo } from '../../config/values/name'
import { mistake } from '../../config/values/parsed'
import { size, SIZE_PATTERN } from '../../config/values/size'
import { definePolicy } from '../define-policy'

const schema = z
  .strictObject({
    upstream: field(referenceTo('an upstream'), {
      description: 'Upstream that gets the copies.',
      value: 'name',
      type: 'string',
    }),
    share: numberField('Percentage of the requests that are mirrored.', { atLeast: 1, atMost: 100 }).prefault(100),
    maxRequests: numberField('Maximum mirrored requests at once. Further ones are dropped.', {
      atLeast: 1,
      atMost: 1_000,
    }).prefault(100),
    maxBodySize: field(size({ atLeast: '1KiB', atMost: '1MiB' }), {
      description:
        'Requests with larger bodies are not mirrored. Copies are kept in memory until the body is complete: at most `maxRequests` of this size.',
      type: 'string',
      pattern: SIZE_PATTERN,
    }).prefault('64KiB'),
  })
  .meta({
    description:
      'Sends copies of requests to another upstream and discards its responses ([more](canary.md#mirroring)). All methods, also `POST`; not WebSockets.',
  })
  .transform(({ upstream, share, maxRequests, maxBodySize }) => ({
    upstream,
    share,
    maxRequests,
    maxBodyBytes: maxBodySize,
  }))

/** Mirrors a share of the requests to another upstream. */
export const mirror = definePolicy({
  name: 'mirror',
  schema: schema.optional(),
  example: `
# A tenth of the requests also goes to the next release, whose answers are thrown away.
- name: prices
  match: { path: /prices }
  upstream: web
  mirror: { upstream: web-next, share: 10, maxRequests: 50, maxBodySize: 16KiB }
`,
  needsUpstream: true,
  upstreams: ({ upstream }) => [{ name: upstream, at: ['upstream'] }],
  check(written, context) {
    if (written === undefined || written.upstream !== context.route['upstream']) return []
    const useless = mistake(
      'is the upstream of the route itself, which would get these requests twice',
      'another upstream',
    )
    return [context.problem(['upstream'], useless)]
  },
  create: config => ({ mirror: config }),
  describe: ({ upstream, share }) => [{ about: 'changes', text: `${share} % mirrored to ${upstream}` }],
})
