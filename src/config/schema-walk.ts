import { z } from 'zod'
import type { Path } from './variables'

/** The schema of the value at a path; undefined if the schema has no such path. */
export function schemaAt(schema: z.ZodType, path: Path): z.ZodType | undefined {
  return path.reduce<z.ZodType | undefined>(step, schema)
}

/** The usable keys; keys that this version rejects are not suggested. */
export function keysOf(schema: z.ZodType | undefined): string[] {
  const shape = schema && shapeOf(schema)
  return Object.keys(shape ?? {}).filter(key => shape?.[key]?.meta()?.not === undefined)
}

function step(schema: z.ZodType | undefined, key: PropertyKey): z.ZodType | undefined {
  const here = schema && unwrapped(schema)
  if (typeof key === 'number') {
    const list = optionsOf(here).find(option => option instanceof z.ZodArray)
    return list?.element as z.ZodType | undefined
  }
  if (here instanceof z.ZodRecord) return here.valueType as z.ZodType
  return here && shapeOf(here)?.[String(key)]
}

/** The keys of a map with their schemas; also of a value that may be a map or something else. */
export function shapeOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> | undefined {
  return optionsOf(schema).find(option => option instanceof z.ZodObject)?.shape
}

/** The alternative schemas of a value: several for a union. */
export function optionsOf(schema: z.ZodType | undefined): z.ZodType[] {
  const here = schema && unwrapped(schema)
  if (here instanceof z.ZodUnion) return here.options.map(option => unwrapped(option as z.ZodType))
  return here === undefined ? [] : [here]
}

/** The inner schema, without defaults and transformations. */
export function unwrapped(schema: z.ZodType): z.ZodType {
  let inner = schema
  for (;;) {
    if (inner instanceof z.ZodOptional || inner instanceof z.ZodPrefault) inner = inner.unwrap() as z.ZodType
    else if (inner instanceof z.ZodPipe) inner = inner.in as z.ZodType
    else return inner
  }
}
