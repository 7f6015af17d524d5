import { z } from 'zod'
import { nearestName } from './nearest-name'
import type { ConfigProblem } from './types'
import type { IssueParams } from './values/field'
import { mistake, type Mistake } from './values/parsed'
import type { Path } from './variables'
import type { YamlSource } from './yaml-source'

/** Problems of shape that are reported: a file with more of them is mended in several goes, or is another file. */
const MAX_PROBLEMS = 200

/** Turns what zod found into problems, each with its place in the file and the nearest valid key. */
export function problemsOf(error: z.ZodError, schema: z.ZodType, source: YamlSource): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  for (const issue of error.issues) {
    if (problems.length >= MAX_PROBLEMS) break
    problems.push(...fromIssue(issue, [], schema, source))
  }
  return problems
}

/** Says a mistake about what stands at a place: `"5" has no unit`. */
export function problemAt(path: Path, found: Mistake, source: YamlSource): ConfigProblem {
  const { problem, nearest, isSecret, ...allowed } = found
  // What was meant is made of what was found, and that may be a secret out of the environment.
  const meant = nearest === undefined || source.isFilled(path) ? {} : { nearest }
  const shown = isSecret ? 'the value' : source.show(path)
  return { where: source.where(path), problem: `${shown} ${problem}`, ...allowed, ...meant }
}

/** The same about a key. */
export function problemAtKey(path: Path, { problem, ...hints }: Mistake, source: YamlSource): ConfigProblem {
  return { where: source.where(path, 'key'), problem: `${JSON.stringify(String(path.at(-1)))} ${problem}`, ...hints }
}

function fromIssue(issue: z.core.$ZodIssue, base: Path, schema: z.ZodType, source: YamlSource): ConfigProblem[] {
  const path = [...base, ...issue.path]
  if (source.isUnfilled(path)) return []
  if (issue.code === 'custom') {
    const { mistake, isAboutKey } = issue.params as unknown as IssueParams
    return [isAboutKey ? problemAtKey(path, mistake, source) : problemAt(path, mistake, source)]
  }
  if (issue.code === 'unrecognized_keys') {
    const valid = keysAt(schema, path)
    return issue.keys.slice(0, MAX_PROBLEMS).map(key => problemAtKey([...path, key], unknownKey(key, valid), source))
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.flatMap(inner =>
      inner.code === 'custom' ? [problemAtKey(path, (inner.params as unknown as IssueParams).mistake, source)] : [],
    )
  }
  if (issue.code === 'invalid_union') {
    // Of the shapes a value may have, the one it has: an error in a list is not "not a map".
    const inner = issue.errors.find(issues => !issues.some(isAboutTheWhole))
    if (inner === undefined) return [problemAt(path, wrongKind('a map or a list', path, source), source)]
    return inner.flatMap(issue => fromIssue(issue, path, schema, source))
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
function keysAt(schema: z.ZodType, path: Path): string[] {
  const here = path.reduce<z.ZodType | undefined>(step, schema)
  const shape = here && shapeOf(here)
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

function shapeOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> | undefined {
  return optionsOf(schema).find(option => option instanceof z.ZodObject)?.shape
}

/** The shapes that a value may have: several where it is a union. */
function optionsOf(schema: z.ZodType | undefined): z.ZodType[] {
  const here = schema && unwrapped(schema)
  if (here instanceof z.ZodUnion) return here.options.map(option => unwrapped(option as z.ZodType))
  return here === undefined ? [] : [here]
}

/** Without defaults and without what is made of the value afterwards. */
function unwrapped(schema: z.ZodType): z.ZodType {
  let inner = schema
  for (;;) {
    if (inner instanceof z.ZodOptional || inner instanceof z.ZodPrefault) inner = inner.unwrap() as z.ZodType
    else if (inner instanceof z.ZodPipe) inner = inner.in as z.ZodType
    else return inner
  }
}
