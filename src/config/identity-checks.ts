import type { z } from 'zod'
import { problemAt, problemAtKey } from './findings'
import { authSchema } from './identity-schema'
import type { ConfigProblem } from './types'
import { asList, asMap, read } from './understood'
import { parseApiKeyHash } from './values/api-key-hash'
import { parseName } from './values/name'
import { mistake } from './values/parsed'
import type { Path } from './variables'
import type { YamlSource } from './yaml-source'

/** What must hold between those who are let in, what they show, and the routes that ask for it. */
export function checkIdentity(source: YamlSource): ConfigProblem[] {
  const consumers = Object.keys(asMap(source.valueAt(['consumers'])))
  const routes = asList(source.valueAt(['routes'])).map((raw, index): RouteAuth => {
    return { at: ['routes', index], auth: read(authSchema, asMap(raw).auth) }
  })
  return [
    ...checkNames(consumers, source),
    ...checkKeys(consumers, source),
    ...checkAsked(routes, source),
    ...checkSomebodyMayPass(routes, consumers, source),
  ]
}

interface RouteAuth {
  readonly at: Path
  /** Undefined where it is left out or not understood. */
  readonly auth: z.output<typeof authSchema> | undefined
}

function checkNames(consumers: readonly string[], source: YamlSource): ConfigProblem[] {
  return consumers.flatMap(name => {
    const parsed = parseName(name)
    return 'mistake' in parsed ? [problemAtKey(['consumers', name], parsed.mistake, source)] : []
  })
}

/** One key can only be one consumer's. */
function checkKeys(consumers: readonly string[], source: YamlSource): ConfigProblem[] {
  const owners = new Map<string, string>()
  return consumers.flatMap(name => {
    const at: Path = ['consumers', name, 'apiKeys']
    return asList(source.valueAt(at)).flatMap((raw, index) => {
      const parsed = parseApiKeyHash(raw)
      if (!('value' in parsed)) return []
      const owner = owners.get(parsed.value)
      owners.set(parsed.value, owner ?? name)
      if (owner === undefined) return []
      return [problemAt([...at, index], mistake(`is a key of ${owner} already`, 'each key once'), source)]
    })
  })
}

/** `auth` that asks for nothing would let everybody pass, which nobody means who writes it. */
function checkAsked(routes: readonly RouteAuth[], source: YamlSource): ConfigProblem[] {
  return routes.flatMap(({ at, auth }) => {
    if (auth === undefined || auth.apiKey !== undefined) return []
    return [problemAtKey([...at, 'auth'], mistake('does not say what clients must show', 'apiKey'), source)]
  })
}

/** Worth saying, and no mistake: a gateway may be there before its first consumer. */
function checkSomebodyMayPass(
  routes: readonly RouteAuth[],
  consumers: readonly string[],
  source: YamlSource,
): ConfigProblem[] {
  const hasKeys = consumers.some(name => asList(source.valueAt(['consumers', name, 'apiKeys'])).length > 0)
  if (hasKeys) return []
  return routes.flatMap(({ at, auth }) => {
    if (auth?.apiKey === undefined) return []
    const nobody = mistake('lets nobody pass: no consumer has an API key', 'consumers with apiKeys')
    return [{ ...problemAtKey([...at, 'auth', 'apiKey'], nobody, source), severity: 'warning' as const }]
  })
}
