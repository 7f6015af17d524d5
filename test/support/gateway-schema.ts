import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface SchemaNode {
  readonly properties?: Record<string, SchemaNode>
  readonly required?: readonly string[]
  readonly items?: SchemaNode
  readonly additionalProperties?: SchemaNode | false
  readonly anyOf?: readonly SchemaNode[]
  readonly default?: unknown
  readonly description?: unknown
  readonly not?: unknown
  readonly $ref?: string
}

const DEFINITION = '#/definitions/'

/**
 * `docs/gateway.schema.json` with the keys of routes and upstreams in their place. `defaults` and `policySets`, which
 * have the same keys, are without them.
 */
export function schemaByPlace(): SchemaNode {
  const text = readFileSync(join(__dirname, '../../..', 'docs/gateway.schema.json'), 'utf8')
  const { definitions, ...schema } = JSON.parse(text) as SchemaNode & { definitions: Record<string, SchemaNode> }
  const { defaults, policySets, routes, upstreams } = schema.properties ?? {}
  if (defaults?.properties !== undefined) {
    for (const key of Object.keys(defaults.properties)) defaults.properties[key] = withoutKeys(defaults.properties[key])
  }
  if (schema.properties !== undefined) schema.properties['policySets'] = withoutKeys(policySets)
  for (const { properties = {} } of [routes?.items, upstreams?.additionalProperties].filter(isNode)) {
    for (const [key, { $ref }] of Object.entries(properties)) {
      const definition = $ref?.startsWith(DEFINITION) ? definitions[$ref.slice(DEFINITION.length)] : undefined
      if (definition !== undefined) properties[key] = definition
    }
  }
  return schema
}

function withoutKeys({ properties: _keys, additionalProperties: _values, ...leaf }: SchemaNode = {}): SchemaNode {
  return leaf
}

function isNode(node: SchemaNode | false | undefined): node is SchemaNode {
  return node !== undefined && node !== false
}
