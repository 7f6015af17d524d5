import { z } from 'zod'
import { idleTimeout, responseTimeout, totalTimeout } from '../../config/fields'
import { durationText } from '../../config/values/duration'
import { definePolicy } from '../define-policy'

/** Timeouts of upstream calls that override the upstream's own. */
export const timeouts = definePolicy({
  name: 'timeouts',
  schema: z
    .strictObject({
      response: responseTimeout.optional().meta({ description: "Instead of the upstream's `timeouts.response`." }),
      idle: idleTimeout.optional().meta({ description: "Instead of the upstream's `timeouts.idle`." }),
      total: totalTimeout.optional().meta({ description: "Instead of the upstream's `timeouts.total`." }),
    })
    .transform(({ response, idle, total }) => ({
      ...(response !== undefined && { responseMs: response }),
      ...(idle !== undefined && { idleMs: idle }),
      ...(total !== undefined && { totalMs: total }),
    }))
    .prefault({})
    .meta({
      description: "Timeouts of this route, instead of the upstream's.",
    }),
  needsUpstream: true,
  create: config => ({ forwarding: { timeouts: config } }),
  describe: config =>
    Object.entries(config).map(([name, ms]) => ({
      about: 'calls',
      text: `${name.replace(/Ms$/, '')} within ${durationText(ms)}`,
    })),
})
