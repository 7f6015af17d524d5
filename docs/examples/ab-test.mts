import { createHash } from 'node:crypto'
import { definePolicy, z } from 'myesi-gateway'

/**
 * Tells the upstream which variant of an experiment a client gets. The same client gets the same one at every replica, without
 * a cookie or a store, and two experiments divide clients independently. To send variants to different upstreams use `split`.
 */
export default definePolicy({
  name: 'ab-test',
  schema: z.strictObject({
    experiment: z.string().min(1),
    share: z.number().min(0).max(1), // of clients that get variant b
    header: z.string().default('x-variant'),
  }),
  describe: ({ experiment, share }) => `experiment ${experiment}: ${share * 100} % b`,
  create: ({ experiment, share, header }) => {
    const variantOf = (client: string): 'a' | 'b' => {
      const hash = createHash('sha256').update(`${experiment}\0${client}`).digest()
      return hash.readUInt32BE(0) / 2 ** 32 < share ? 'b' : 'a'
    }
    return {
      onAttempt(context, { fields }) {
        const variant = variantOf(context.consumer?.name ?? context.clientAddress)
        // A client must not choose its variant.
        for (let i = fields.length - 2; i >= 0; i -= 2) if (fields[i] === header) fields.splice(i, 2)
        fields.push(header, variant)
        context.setAttribute('acme.variant', variant)
        if (context.attempt === 1) context.count('acme.experiment.requests', { experiment, variant })
      },
    }
  },
})
