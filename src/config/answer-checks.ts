import { isRoutePolicy, type RegistryEntry } from '../policies/define-policy'
import { problemAt, problemAtKey } from './findings'
import type { ConfigProblem } from './types'
import { mistake } from './values/parsed'
import type { Path } from './variables'
import type { YamlSource } from './yaml-source'

/** Policies that answer instead of an upstream. */
export function answersIn(entries: readonly RegistryEntry[]): string[] {
  return entries.filter(entry => isRoutePolicy(entry) && entry.answers).map(({ name }) => name)
}

/** Policies that choose among several upstreams, instead of the one of the route. */
export function choicesIn(entries: readonly RegistryEntry[]): string[] {
  return entries.filter(entry => isRoutePolicy(entry) && entry.choosesUpstream).map(({ name }) => name)
}

/** Checks that each route has exactly one source of answers, and no keys that belong to another one. */
export function checkAnswers(at: Path, entries: readonly RegistryEntry[], source: YamlSource): ConfigProblem[] {
  const found = source.valueAt(at)
  if (typeof found !== 'object' || found === null || Array.isArray(found)) return []
  const callsUpstream = ['upstream', ...choicesIn(entries)]
  const answers = [...callsUpstream, ...answersIn(entries)]
  const allowed = `exactly one of ${answers.join(', ')}`
  const [first, ...others] = answers.filter(key => Object.hasOwn(found, key))
  if (first === undefined) return [problemAt([...at, 'upstream'], mistake('is missing', allowed), source)]
  const both = others.map(key => problemAtKey([...at, key], mistake(`is here beside "${first}"`, allowed), source))
  if (callsUpstream.includes(first)) return both
  const useless = mistake(`has no effect beside "${first}": no upstream is asked`, `an "upstream", or no such key`)
  const forUpstreams = entries.filter(
    entry => isRoutePolicy(entry) && entry.needsUpstream && Object.hasOwn(found, entry.name),
  )
  return [...both, ...forUpstreams.map(({ name }) => problemAtKey([...at, name], useless, source))]
}
