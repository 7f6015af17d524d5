import { isAlias, isMap, isScalar, type Document, type Pair, type Scalar, type YAMLMap } from 'yaml'
import type { ConfigProblem } from './types'

/** Keys that were renamed: the old name still works, with a warning. `*` is any key. */
const RENAMED: readonly { readonly path: readonly string[]; readonly to: string; readonly why: string }[] = [
  'retries',
  'circuitBreaker',
].map(section => ({
  path: ['upstreams', '*', section, 'on'],
  to: 'conditions',
  // YAML 1.1 reads "on" as true: Helm, kustomize and PyYAML write "true:" instead.
  why: 'YAML 1.1 tools turn "on" into "true"',
}))

/** Replaces old keys of the document by their new names, before anything reads it. */
export function renameKeys(document: Document, place: (offset: number) => string): ConfigProblem[] {
  return RENAMED.flatMap(({ path, to, why }) =>
    keysAt(document, document.contents, path).flatMap(({ map, key }): ConfigProblem[] => {
      const old = String(key.value)
      const where = `${place(key.range?.[0] ?? 0)} ${old}`
      if (map.has(to)) return [{ where, problem: `"${old}" is the older name of "${to}"`, allowed: 'one of the two' }]
      key.value = to
      const problem = `"${old}" is called "${to}" now (${why}); the older name still works`
      return [{ where, problem, nearest: to, severity: 'warning' }]
    }),
  )
}

function keysAt(
  document: Document,
  found: unknown,
  [step, ...rest]: readonly string[],
): { map: YAMLMap; key: Scalar }[] {
  const node = isAlias(found) ? found.resolve(document) : found
  if (!isMap(node)) return []
  const pairs = node.items.filter(({ key }) => isScalar(key) && (step === '*' || key.value === step)) as Pair<Scalar>[]
  if (rest.length === 0) return pairs.map(({ key }) => ({ map: node, key }))
  return pairs.flatMap(({ value }) => keysAt(document, value, rest))
}
