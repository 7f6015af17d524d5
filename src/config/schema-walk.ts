import { z } from 'zod'
import type { Path } from './variables'

/** The schema of what stands at a place of the file; undefined where the file has no such place. */
export function schemaAt(schema: z.ZodType, path: Path): z.ZodType | undefined {
  return path.reduce<z.ZodType | undefined>(step, schema)
}

/** The keys that do something; those that this version refuses are nothing to suggest. */
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

/** The keys of a map, with their schemas; also of a value that may be a map or something else. */
export function shapeOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> | undefined {
  return optionsOf(schema).find(option => option instanceof z.ZodObject)?.shape
}

/** The shapes that a value may have: several where it is a union. */
export function optionsOf(schema: z.ZodType | undefined): z.ZodType[] {
  const here = schema && unwrapped(schema)
  if (here instanceof z.ZodUnion) return here.options.map(option => unwrapped(option as z.ZodType))
  return here === undefined ? [] : [here]
}

/** Without defaults and without what is made of the value afterwards. */
export function unwrapped(schema: z.ZodType): z.ZodType {
  let inner = schema
  for (;;) {
    if (inner instanceof z.ZodOptional || inner instanceof z.ZodPrefault) inner = inner.unwrap() as z.ZodType
    else if (inner instanceof z.ZodPipe) inner = inner.in as z.ZodType
    else return inner
  }
}
