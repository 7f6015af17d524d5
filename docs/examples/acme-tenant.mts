import { definePolicy, z } from 'myesi-gateway'

/** Tells the upstream which tenant a request is for: the first label of its host, unless the client is known as another. */
export default definePolicy({
  name: 'acme-tenant',
  schema: z.strictObject({
    header: z.string().default('x-tenant'),
    tenants: z.array(z.string()).min(1),
  }),
  describe: ({ header, tenants }) => `${header} with one of ${tenants.length} tenants`,
  create: ({ header, tenants }) => {
    const known = new Set(tenants)
    const tenantOf = (host: string): string => host.split('.', 1)[0] ?? ''
    return {
      onRequest(context) {
        const tenant = tenantOf(context.host)
        if (!known.has(tenant)) context.refuse('forbidden', 'no such tenant')
        context.setAttribute('acme.tenant', tenant)
      },
      onAttempt(context, { fields }) {
        // What the client sent under this name is not to be believed.
        for (let i = fields.length - 2; i >= 0; i -= 2) if (fields[i] === header) fields.splice(i, 2)
        fields.push(header, tenantOf(context.host))
      },
    }
  },
})
