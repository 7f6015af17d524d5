import type { z } from 'zod'
import { problemAt, problemAtKey } from './findings'
import { authSchema } from './identity-schema'
import { nearestName } from './nearest-name'
import { policySchema } from './schema'
import type { ConfigProblem } from './types'
import { asList, asMap, list, read } from './understood'
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
    ...routes.flatMap(({ at, auth }) => policiesOf(at, source).flatMap(path => checkPolicy(path, auth, source))),
    ...checkTiers(routes, consumers, source),
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

function policiesOf(at: Path, source: YamlSource): Path[] {
  const here: Path = [...at, 'rateLimit']
  const found = source.valueAt(here)
  return Array.isArray(found) ? found.map((_, index) => [...here, index]) : found === undefined ? [] : [here]
}

/** Who asks is only known where the route asks for it, and tiers only belong to somebody who is known. */
function checkPolicy(path: Path, auth: RouteAuth['auth'], source: YamlSource): ConfigProblem[] {
  const policy = asMap(source.valueAt(path))
  const key = policy.key === undefined ? ['client'] : read(policySchema.shape.key, policy.key)
  const isAuthUnderstood = auth !== undefined || source.valueAt([...path.slice(0, 2), 'auth']) === undefined
  if (key === undefined || !isAuthUnderstood) return []
  const countsConsumers = key.includes('consumer') || key.includes('api-key')
  if (countsConsumers && auth === undefined) {
    const unknown = mistake('is never known here: the route has no auth', 'auth for this route, or another key')
    return [problemAt([...path, 'key'], unknown, source)]
  }
  if (key.includes('api-key') && auth?.apiKey === undefined && auth !== undefined) {
    const never = mistake('is never shown here: auth asks for no API key', 'consumer, or auth.apiKey for this route')
    return [problemAt([...path, 'key'], never, source)]
  }
  if (countsConsumers || policy.tiers === undefined) return []
  const useless = mistake('belong to consumers, and this policy does not count them', 'a key with consumer or api-key')
  return [problemAtKey([...path, 'tiers'], useless, source)]
}

function checkTiers(routes: readonly RouteAuth[], consumers: readonly string[], source: YamlSource): ConfigProblem[] {
  const known = new Set<string>()
  for (const name of consumers) {
    const tier = source.valueAt(['consumers', name, 'tier'])
    if (typeof tier === 'string') known.add(tier)
  }
  const allowed = known.size === 0 ? 'tiers that consumers have' : list([...known])
  return routes.flatMap(({ at }) =>
    policiesOf(at, source).flatMap(path =>
      Object.keys(asMap(source.valueAt([...path, 'tiers'])))
        .filter(tier => !known.has(tier))
        .map(tier => {
          const unknown = mistake('is the tier of no consumer', allowed, nearestName(tier, known))
          return problemAtKey([...path, 'tiers', tier], unknown, source)
        }),
    ),
  )
}
