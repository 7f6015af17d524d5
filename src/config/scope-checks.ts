import { problemAt } from './findings'
import { nearestName } from './nearest-name'
import type { ConfigProblem } from './types'
import { asList, asMap, list } from './understood'
import { mistake } from './values/parsed'
import type { Path } from './variables'
import type { YamlSource } from './yaml-source'

/**
 * Warns of a scope that a route requires of API keys and no consumer has: all requests are refused. There is no warning
 * if the route accepts tokens too, which have their own scopes, or users.
 */
export function checkScopes(source: YamlSource): ConfigProblem[] {
  const all = Object.values(asMap(source.valueAt(['consumers'])))
  const consumers = all.filter(consumer => asList(asMap(consumer)['apiKeys']).length > 0)
  // Without any key all requests are refused whatever the scopes; `checkIdentity` reports that.
  if (consumers.length === 0) return []
  const known = new Set(consumers.flatMap(consumer => asList(asMap(consumer)['scopes'])).filter(isText))
  return asList(source.valueAt(['routes'])).flatMap((route, index) => {
    const auth = asMap(asMap(route)['auth'])
    const takesOthers = auth['jwt'] !== undefined || auth['basic'] !== undefined || auth['certificate'] === true
    if (auth['apiKey'] === undefined || takesOthers) return []
    return asList(auth['scopes']).flatMap((scope, position) => {
      if (!isText(scope) || known.has(scope)) return []
      const allowed = known.size === 0 ? 'consumers with scopes' : list([...known])
      const unknown = mistake(
        'is a scope that no consumer has: no API key is accepted here',
        allowed,
        nearestName(scope, known),
      )
      const at: Path = ['routes', index, 'auth', 'scopes', position]
      return [{ ...problemAt(at, unknown, source), severity: 'warning' as const }]
    })
  })
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}
