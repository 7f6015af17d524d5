import { z } from 'zod'
import { isPolicy, type Place, type Policy, type RegistryEntry } from '../policies/define-policy'
import { POLICIES } from '../policies/registry'
import { sharedLimitSchema } from '../policies/rate-limit/schema'
import { entrypointSchema } from './entrypoint-schema'
import { nameField } from './fields'
import { consumerSchema, tokenSchema } from './identity-schema'
import { matchSchema } from './match-schema'
import { fileSloSchema } from '../slo/slo-schema'
import { upstreamSchema } from './upstream-schema'
import { field } from './values/field'
import { NAME_PATTERN, referenceTo } from './values/name'

/**
 * The shape of `gateway.yaml`: keys, defaults and descriptions, in the order of the file. Route keys that are not
 * listed here are policies. Rules between keys are in `cross-checks.ts` and in the policies. `npm run schema` writes
 * the same as JSON Schema for editors.
 */

/** The policy keys of one place in the file, with their schemas. */
type PolicyShape<Entries extends readonly RegistryEntry[], Under extends Place> = {
  [P in Extract<Entries[number], Policy<string, z.ZodType, unknown, Under>> as P['name']]: P['schema']
}

function shapeOf<const Entries extends readonly RegistryEntry[], Under extends Place>(
  entries: Entries,
  under: Under,
): PolicyShape<Entries, Under> {
  const policies = entries.filter(isPolicy).filter(policy => policy.under === under)
  return Object.fromEntries(policies.map(({ name, schema }) => [name, schema])) as PolicyShape<Entries, Under>
}

export const routeNameField = nameField('Unique name of the route, for logs and the status page.')
export const routeUpstreamField = field(referenceTo('an upstream'), {
  description:
    'The upstream of the route. Every route has exactly one of `upstream`, `split`, `redirect` and `respond`.',
  value: 'name',
  type: 'string',
}).optional()

/** @param entries the policies that routes may have; may differ from the registry */
export function fileSchemaOf<const Entries extends readonly RegistryEntry[]>(entries: Entries) {
  const policies = shapeOf(entries, 'route')
  const routeSchema = z
    .strictObject({
      name: routeNameField,
      match: matchSchema,
      upstream: routeUpstreamField,
      use: z.array(nameField('A set of `policySets`.')).prefault([]).meta({
        description:
          'Sets of `policySets` whose keys the route gets where it has none of its own. Of two sets with the same key, the later one counts ([more](#defaults-policy-sets-and-included-files)).',
        value: 'list of names',
      }),
      without: z
        .array(z.enum(Object.keys(policies)))
        .prefault([])
        .meta({
          description: 'Keys that the route does not take from `defaults` and policy sets.',
          value: 'list of keys',
        }),
      ...policies,
    })
    .meta({ description: 'Which requests go where, and under which limits.' })
  return z
    .strictObject({
      include: z.array(z.string().min(1)).max(100).prefault([]).meta({
        description:
          'More files, relative to this one, and folders of files that end in `.yaml` or `.yml`. They may have `upstreams`, `routes`, `consumers`, `tokens` and `policySets`.',
      }),
      defaults: z
        .strictObject({
          routes: z
            .strictObject(policies)
            .optional()
            .meta({ description: 'Default keys of routes. A key of the route itself replaces the default.' }),
          upstreams: upstreamSchema
            .omit({ targets: true, without: true })
            .optional()
            .meta({ description: 'Default keys of upstreams. A key of the upstream itself replaces the default.' }),
        })
        .optional()
        .meta({ description: 'Default keys of routes and upstreams.' }),
      policySets: z
        .record(z.string(), z.strictObject(policies).meta({ description: 'Keys of a route.' }))
        .optional()
        .meta({
          description: 'Named sets of route keys, for `use` in routes.',
          propertyNames: { pattern: NAME_PATTERN },
        }),
      entrypoint: entrypointSchema
        .extend(shapeOf(entries, 'entrypoint'))
        .meta(entrypointSchema.meta() ?? {})
        .prefault({}),
      consumers: z
        .record(z.string(), consumerSchema)
        .prefault({})
        .meta({ description: 'Consumers by name.', propertyNames: { pattern: NAME_PATTERN } }),
      tokens: z
        .record(z.string(), tokenSchema)
        .prefault({})
        .meta({
          description: 'Accepted tokens, by a name for their issuer.',
          propertyNames: { pattern: NAME_PATTERN },
        }),
      sharedLimits: z
        .record(z.string(), sharedLimitSchema)
        .prefault({})
        .meta({
          description: 'Rate limits that several routes share, by name.',
          propertyNames: { pattern: NAME_PATTERN },
        }),
      slo: fileSloSchema,
      policies: z.array(z.string().min(1)).max(100).prefault([]).meta({
        description:
          'Modules that define policies of your own, relative to this file: ES modules in TypeScript or JavaScript. Each policy is a key of routes by its name.',
      }),
      upstreams: z
        .record(z.string(), upstreamSchema)
        .meta({ description: 'Backends by name.', minProperties: 1, propertyNames: { pattern: NAME_PATTERN } }),
      routes: z.array(routeSchema).min(1).meta({ description: 'Routes; their order does not matter.' }),
    })
    .meta({ title: 'gateway.yaml', description: 'Upstreams, routes and limits of the myesi-gateway.' })
}

export const fileSchema = fileSchemaOf(POLICIES)

export type FileContent = z.output<typeof fileSchema>
