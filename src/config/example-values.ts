import { z } from 'zod'
import { keysOf, shapeOf, unwrapped } from './schema-walk'

/** Messages about maps and lists, built from the schema: the allowed keys and an example value. */

/** Typical values of `gateway.yaml`; the first one that a schema accepts is its example. */
const CANDIDATES = [
  'name',
  '10s',
  '1MiB',
  '/path',
  'https://host.example',
  '10.0.0.0/8',
  'x-name',
  'GET',
  true,
  2,
  1,
  200,
]
/** Maximum depth of nested maps in an example. */
const MAX_DEPTH = 4

/** Describes a map: `a map with attempts (required), on, such as { attempts: 2 }` */
export function mapText(schema: z.ZodType | undefined, wanted: string): string {
  if (schema === undefined) return wanted
  const keys = keysOf(schema)
  const example = exampleOf(schema)
  const such = example === undefined ? '' : `, such as ${asYaml(example)}`
  if (keys.length === 0) return `${wanted}${such}`
  const required = new Set(requiredKeys(schema))
  return `${wanted} with ${keys.map(key => (required.has(key) ? `${key} (required)` : key)).join(', ')}${such}`
}

/** Describes a list: `a list, such as [GET]` */
export function listText(schema: z.ZodType | undefined): string {
  const example = schema && exampleOf(schema)
  return example === undefined ? 'a list' : `a list, such as ${asYaml(example)}`
}

/** The map that a single value probably means: `retries: 3` is `{ attempts: 3 }`, `apiKey: true` is `{}`. */
export function mapMeant(schema: z.ZodType | undefined, found: unknown): string | undefined {
  if (schema === undefined || typeof found === 'object') return undefined
  const required = requiredKeys(schema)
  if (required.length === 0) return found === true && takes(schema, {}) ? '{}' : undefined
  const [key = ''] = required
  const meant = [found, [found]].map(value => ({ [key]: value })).find(map => takes(schema, map))
  return meant && asYaml(meant)
}

function requiredKeys(schema: z.ZodType): string[] {
  const shape = shapeOf(schema) ?? {}
  return Object.keys(shape).filter(key => !takes(shape[key] as z.ZodType, undefined))
}

/** A minimal value that the schema accepts; undefined if none is known. */
function exampleOf(schema: z.ZodType, depth = 0): unknown {
  if (depth > MAX_DEPTH) return undefined
  const here = unwrapped(schema)
  const known = [schema, here].flatMap(one => {
    const { examples, enum: names } = (one.meta() ?? {}) as { examples?: unknown[]; enum?: unknown[] }
    return [...(examples ?? []), ...(names ?? [])]
  })
  const shape = shapeOf(here)
  const made = shape ? [mapExample(here, shape, depth)] : here instanceof z.ZodArray ? [listExample(here, depth)] : []
  const map = here instanceof z.ZodRecord ? [recordExample(here, depth)] : []
  const byDefault = schema instanceof z.ZodPrefault ? [schema.def.defaultValue] : []
  return [...known, ...made, ...map, ...byDefault, ...CANDIDATES].find(
    value => value !== undefined && takes(schema, value),
  )
}

function mapExample(schema: z.ZodType, shape: Readonly<Record<string, z.ZodType>>, depth: number): unknown {
  const required = requiredKeys(schema)
  const shown = required.length > 0 ? required : keysOf(schema).slice(0, 1)
  return Object.fromEntries(shown.map(key => [key, exampleOf(shape[key] as z.ZodType, depth + 1)]))
}

function listExample(schema: z.ZodArray, depth: number): unknown {
  const item = exampleOf(schema.element as z.ZodType, depth + 1)
  return takes(schema, [item]) ? [item] : [item, item]
}

function recordExample(schema: z.ZodRecord, depth: number): unknown {
  const value = exampleOf(schema.valueType as z.ZodType, depth + 1)
  return ['name', 'x-name'].map(key => ({ [key]: value })).find(map => takes(schema, map))
}

function takes(schema: z.ZodType, value: unknown): boolean {
  return schema.safeParse(value).success
}

function asYaml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(asYaml).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, inner]) => `${key}: ${asYaml(inner)}`)
    return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`
  }
  if (typeof value !== 'string') return String(value)
  return /^[\w./][\w./:-]*$/.test(value) && !/^[\d.]+$/.test(value) ? value : JSON.stringify(value)
}
