import { z } from 'zod'
import type { RegistryEntry } from '../policies/define-policy'
import { POLICIES } from '../policies/registry'
import { fileSchemaOf } from './schema'

type JsonSchema = z.core.JSONSchema.BaseSchema

/** A node of the schema with `value`, which the tables of `docs/configuration.md` show. */
export interface DescribedSchema {
  readonly description?: string
  readonly value?: string
  readonly type?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly DescribedSchema[]
  readonly properties?: Record<string, DescribedSchema>
  readonly definitions?: Readonly<Record<string, DescribedSchema>>
  readonly $ref?: string
  readonly required?: readonly string[]
  readonly items?: DescribedSchema
  readonly additionalProperties?: DescribedSchema | false
  /** The key is rejected: this version does not support it. */
  readonly not?: object
}

/** `docs/gateway.schema.json`: the shape of `gateway.yaml` for editors. Draft 7, which the YAML language server knows best. */
export function gatewayJsonSchema(entries: readonly RegistryEntry[] = POLICIES): string {
  const schema = withDefinitions(describedSchema(entries))
  const published = JSON.stringify(
    schema,
    (key, value: unknown) => (key === 'value' && typeof value === 'string' ? undefined : value),
    2,
  )
  return `${published}\n`
}

/** Writes the keys of routes and upstreams once, as definitions, because `defaults` and `policySets` have them too. */
function withDefinitions(schema: DescribedSchema): DescribedSchema {
  const { defaults, policySets, routes, upstreams } = schema.properties ?? {}
  const definitions: Record<string, DescribedSchema> = {}
  const define = (kind: string, ...maps: readonly (DescribedSchema | false | undefined)[]): void => {
    for (const { properties = {} } of maps.filter(map => map !== undefined && map !== false)) {
      for (const [key, node] of Object.entries(properties)) {
        const name = `${kind}.${key}`
        definitions[name] ??= node
        properties[key] = { $ref: `#/definitions/${name}` }
      }
    }
  }
  define('route', routes?.items, defaults?.properties?.['routes'], policySets?.additionalProperties)
  define('upstream', upstreams?.additionalProperties, defaults?.properties?.['upstreams'])
  return { ...schema, definitions }
}

export function describedSchema(entries: readonly RegistryEntry[] = POLICIES): DescribedSchema {
  return z.toJSONSchema(fileSchemaOf(entries), {
    io: 'input',
    target: 'draft-7',
    override: ({ zodSchema, jsonSchema }) => {
      // zod omits examples of parsed values, because they could be examples of the parser's output.
      const examples = z.globalRegistry.get(zodSchema)?.examples
      if (Array.isArray(examples)) jsonSchema.examples = examples
      allowVariables(jsonSchema)
    },
  }) as DescribedSchema
}

const VARIABLE = '\\$\\{'

/** Allows `${NAME}` for every value; only the gateway can check the result. */
function allowVariables(schema: JsonSchema): void {
  const { type, minimum, maximum } = schema
  if (schema.pattern !== undefined && !schema.pattern.endsWith(`|${VARIABLE}`)) schema.pattern += `|${VARIABLE}`
  if (schema.anyOf !== undefined || (type !== 'integer' && schema.enum === undefined)) return
  const value = schema.enum === undefined ? { type, minimum, maximum } : { enum: schema.enum }
  schema.anyOf = [value as JsonSchema, { type: 'string', pattern: VARIABLE }]
  for (const moved of ['type', 'minimum', 'maximum', 'enum'] as const) delete schema[moved]
}
