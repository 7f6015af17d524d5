import type { z } from 'zod'
import { listText, mapMeant, mapText } from './example-values'
import { foreignKey } from './key-hints'
import { nearestName } from './nearest-name'
import { keysOf, schemaAt } from './schema-walk'
import type { ConfigProblem } from './types'
import type { IssueParams } from './values/field'
import { mistake, type Mistake } from './values/parsed'
import type { Path } from './variables'
import type { YamlSource } from './yaml-source'

/** Maximum reported problems of shape: a file with more is fixed in several runs, or is a different kind of file. */
const MAX_PROBLEMS = 200

/** Turns zod's issues into problems, each with its position in the file and the nearest valid key. */
export function problemsOf(error: z.ZodError, schema: z.ZodType, source: YamlSource): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  for (const issue of error.issues) {
    if (problems.length >= MAX_PROBLEMS) break
    problems.push(...fromIssue(issue, [], schema, source))
  }
  return problems
}

/** Reports a mistake in the value at a path: `"5" has no unit`. */
export function problemAt(path: Path, found: Mistake, source: YamlSource): ConfigProblem {
  const { problem, nearest, isSecret, ...allowed } = found
  // The suggestion is derived from the value, which may be a secret from the environment.
  const meant = nearest === undefined || source.isFilled(path) ? {} : { nearest }
  const shown = isSecret ? 'the value' : source.show(path)
  return { where: source.where(path), problem: `${shown} ${problem}`, ...allowed, ...meant }
}

/** Reports a mistake in the key at a path. */
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
    const valid = keysOf(schemaAt(schema, path))
    return issue.keys.slice(0, MAX_PROBLEMS).map(key => problemAtKey([...path, key], unknownKey(key, valid), source))
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.flatMap(inner =>
      inner.code === 'custom' ? [problemAtKey(path, (inner.params as unknown as IssueParams).mistake, source)] : [],
    )
  }
  if (issue.code === 'invalid_union') {
    // For a union, reports the option whose shape matches the value: an error inside a list is not "not a map".
    const inner = issue.errors.find(issues => !issues.some(isAboutTheWhole))
    if (inner === undefined) return [problemAt(path, wrongKind('a map or a list', path, schema, source), source)]
    return inner.flatMap(issue => fromIssue(issue, path, schema, source))
  }
  if (issue.code === 'too_small' && issue.minimum > 1)
    return [problemAtKey(path, mistake('has too few entries', `at least ${issue.minimum} entries`), source)]
  if (issue.code === 'too_small')
    return [problemAtKey(path, mistake('has nothing in it', 'at least one entry'), source)]
  if (issue.code === 'invalid_type' && issue.expected === 'string')
    return [problemAt(path, mistake('is not text', 'text'), source)]
  if (issue.code === 'invalid_type') {
    return [problemAt(path, wrongKind(issue.expected === 'array' ? 'a list' : 'a map', path, schema, source), source)]
  }
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String)
    return [
      problemAt(
        path,
        mistake('is not known here', values.join(', '), nearestName(String(source.valueAt(path)), values)),
        source,
      ),
    ]
  }
  return [problemAt(path, mistake(`is not valid: ${issue.message}`), source)]
}

function isAboutTheWhole(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'invalid_type' && issue.path.length === 0
}

function wrongKind(wanted: string, path: Path, schema: z.ZodType, source: YamlSource): Mistake {
  const found = source.valueAt(path)
  const here = schemaAt(schema, path)
  const allowed = wanted === 'a list' ? listText(here) : mapText(here, wanted)
  if (found === undefined) return mistake('is missing', allowed)
  if (found === null) return mistake('is empty', allowed)
  if (wanted === 'a list') {
    return mistake(`is not ${wanted}`, allowed, typeof found === 'string' ? `[${source.show(path)}]` : undefined)
  }
  return mistake(`is not ${wanted}`, allowed, mapMeant(here, found))
}

function unknownKey(key: string, valid: readonly string[]): Mistake {
  return foreignKey(key, valid) ?? mistake('is not a key here', valid.join(', '), nearestName(key, valid))
}
