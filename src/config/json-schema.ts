import { z } from 'zod'
import { fileSchema } from './schema'

type JsonSchema = z.core.JSONSchema.BaseSchema

/** `docs/gateway.schema.json`: the shape of `gateway.yaml` for editors. Draft 7, which the YAML language server knows best. */
export function gatewayJsonSchema(): string {
  const schema = z.toJSONSchema(fileSchema, {
    io: 'input',
    target: 'draft-7',
    override: ({ zodSchema, jsonSchema }) => {
      // zod leaves examples of parsed values out, because they could be meant for what comes out of the parser.
      const examples = z.globalRegistry.get(zodSchema)?.examples
      if (Array.isArray(examples)) jsonSchema.examples = examples
      allowVariables(jsonSchema)
    },
  })
  return `${JSON.stringify(schema, undefined, 2)}\n`
}

const VARIABLE = '\\$\\{'

/** `${NAME}` may stand wherever a value may; what becomes of it only the gateway can check. */
function allowVariables(schema: JsonSchema): void {
  const { type, minimum, maximum } = schema
  if (schema.pattern !== undefined && !schema.pattern.endsWith(`|${VARIABLE}`)) schema.pattern += `|${VARIABLE}`
  if (schema.anyOf !== undefined || (type !== 'integer' && schema.enum === undefined)) return
  const value = schema.enum === undefined ? { type, minimum, maximum } : { enum: schema.enum }
  schema.anyOf = [value as JsonSchema, { type: 'string', pattern: VARIABLE }]
  for (const moved of ['type', 'minimum', 'maximum', 'enum'] as const) delete schema[moved]
}
