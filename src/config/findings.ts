import { z } from 'zod'
import { nearestName } from './nearest-name'
import type { ConfigProblem } from './types'
import type { IssueParams } from './values/field'
import { mistake, type Mistake } from './values/parsed'
import type { Path } from './variables'
import type { YamlSource } from './yaml-source'

/** Turns what zod found into problems, each with its place in the file and the nearest valid key. */
export function problemsOf(error: z.ZodError, schema: z.ZodType, source: YamlSource): ConfigProblem[] {
  return error.issues.flatMap(issue => fromIssue(issue, [], schema, source))
}

/** Says a mistake about what stands at a place: `"5" has no unit`. */
export function problemAt(path: Path, found: Mistake, source: YamlSource): ConfigProblem {
  const { problem, nearest, ...allowed } = found
  // What was meant is made of what was found, and that may be a secret out of the environment.
  const meant = nearest === undefined || source.isFilled(path) ? {} : { nearest }
  return { where: source.where(path), problem: `${source.show(path)} ${problem}`, ...allowed, ...meant }
}

/** The same about a key. */
export function problemAtKey(path: Path, { problem, ...hints }: Mistake, source: YamlSource): ConfigProblem {
  return { where: source.where(path, 'key'), problem: `${JSON.stringify(String(path.at(-1)))} ${problem}`, ...hints }
}

function fromIssue(issue: z.core.$ZodIssue, base: Path, schema: z.ZodType, source: YamlSource): ConfigProblem[] {
  const path = [...base, ...issue.path]
  if (source.isUnfilled(path)) return []
  const here = schemaAt(schema, issue.path)
  if (issue.code === 'custom') {
    const { mistake, isAboutKey } = issue.params as unknown as IssueParams
    return [isAboutKey ? problemAtKey(path, mistake, source) : problemAt(path, mistake, source)]
  }
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => problemAtKey([...path, key], unknownKey(key, keysOf(here)), source))
  }
  if (issue.code === 'invalid_union') {
    // Of the shapes a value may have, the one it has: an error in a list is not "not a map".
    const fits = issue.errors.findIndex(issues => !issues.some(isAboutTheWhole))
    const option = here instanceof z.ZodUnion ? here.options[fits] : undefined
    if (option === undefined) return [problemAt(path, wrongKind('a map or a list', path, source), source)]
    return (issue.errors[fits] ?? []).flatMap(inner => fromIssue(inner, path, option as z.ZodType, source))
  }
  if (issue.code === 'too_small')
    return [problemAtKey(path, mistake('has nothing in it', 'at least one entry'), source)]
  if (issue.code === 'invalid_type') {
    return [problemAt(path, wrongKind(issue.expected === 'array' ? 'a list' : 'a map', path, source), source)]
  }
  return [problemAt(path, mistake(`is not valid: ${issue.message}`), source)]
}

function isAboutTheWhole(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'invalid_type' && issue.path.length === 0
}

function wrongKind(wanted: string, path: Path, source: YamlSource): Mistake {
  const found = source.valueAt(path)
  if (found === undefined) return mistake('is missing', wanted)
  if (found === null) return mistake('is empty', wanted)
  const isSingle = typeof found === 'string' && wanted === 'a list'
  return mistake(`is not ${wanted}`, wanted, isSingle ? `[${source.show(path)}]` : undefined)
}

function unknownKey(key: string, valid: readonly string[]): Mistake {
  return mistake('is not a key here', valid.join(', '), nearestName(key, valid))
}

/** The keys that do something; those that this version refuses are nothing to suggest. */
function keysOf(schema: z.ZodType | undefined): string[] {
  if (!(schema instanceof z.ZodObject)) return []
  const shape = schema.shape as Record<string, z.ZodType>
  return Object.keys(shape).filter(key => shape[key]?.meta()?.not === undefined)
}

function schemaAt(schema: z.ZodType, path: Path): z.ZodType | undefined {
  let here: z.ZodType | undefined = unwrapped(schema)
  for (const step of path) {
    if (here instanceof z.ZodObject) here = unwrapped((here.shape as Record<string, z.ZodType>)[String(step)])
    else if (here instanceof z.ZodRecord) here = unwrapped(here.valueType as z.ZodType)
    else if (here instanceof z.ZodArray) here = unwrapped(here.element as z.ZodType)
    else return undefined
  }
  return here
}

function unwrapped(schema: z.ZodType | undefined): z.ZodType | undefined {
  let inner = schema
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodPrefault) inner = inner.unwrap() as z.ZodType
  return inner
}
