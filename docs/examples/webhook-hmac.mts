import { createHmac, timingSafeEqual } from 'node:crypto'
import { definePolicy, z } from 'myesi-gateway'

/** Lets webhooks pass only with the HMAC-SHA256 of their body, as GitHub, Shopify and others sign them. */
export default definePolicy({
  name: 'webhook-hmac',
  schema: z.strictObject({
    secret: z.string().min(16), // in gateway.yaml: ${WEBHOOK_SECRET}
    header: z.string().default('x-hub-signature-256'),
    prefix: z.string().default('sha256='),
  }),
  timeoutMs: 10_000, // includes the upload of the body
  describe: ({ header }) => `HMAC in ${header}`, // never the secret
  create: ({ secret, header, prefix }) => ({
    async onRequest(context) {
      const given = context.headers[header]
      if (typeof given !== 'string') return context.refuse('unauthenticated', 'no signature')
      const body = await context.readBody(1024 * 1024)
      const expected = Buffer.from(prefix + createHmac('sha256', secret).update(body).digest('hex'))
      const actual = Buffer.from(given)
      // In constant time: the time of a comparison must not tell how much of a guess is right.
      if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) {
        return context.refuse('unauthenticated', 'wrong signature')
      }
    },
  }),
})
