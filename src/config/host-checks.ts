import { problemAt } from './findings'
import { nearestName } from './nearest-name'
import type { ConfigProblem } from './types'
import { asList, asMap } from './understood'
import { mistake } from './values/parsed'
import type { Path } from './variables'
import type { YamlSource } from './yaml-source'

const WORDS = ['target', 'client']

/** Warns of a `host` that is nearly one of its words: as a name it would be sent to the upstream as it is. */
export function checkHosts(source: YamlSource): ConfigProblem[] {
  const upstreams = Object.keys(asMap(source.valueAt(['upstreams']))).map((name): Path => ['upstreams', name, 'host'])
  const routes = asList(source.valueAt(['routes'])).map((_, index): Path => ['routes', index, 'host'])
  return [...upstreams, ...routes].flatMap(path => {
    const host = source.valueAt(path)
    if (typeof host !== 'string' || WORDS.includes(host.toLowerCase())) return []
    const nearest = nearestName(host, WORDS)
    if (nearest === undefined) return []
    const name = mistake('is sent as the name of a host', 'target, client, or a host name', nearest)
    return [{ ...problemAt(path, name, source), severity: 'warning' as const }]
  })
}
