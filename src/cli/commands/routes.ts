import { EXIT_CONFIG } from '../../config/exit-codes'
import type { GatewayConfig, RouteConfig } from '../../config/gateway-config'
import { destinationText, overloadText, textsAbout } from '../../operations/route-wording'
import { shownRoute } from '../../operations/shown-route'
import { policiesOf } from '../../policies/policies-of'
import { precedence } from '../../routing/specificity'
import { defineCommand, print, table } from '../command'
import { upstreamOf, upstreamsOf, upstreamText } from '../wording'
import { fileOf, readConfig } from '../read-config'

const USAGE = `myesi-gateway routes [FILE]

Prints the routes of a gateway.yaml, the most specific first: a request goes to the first route here that matches it.
Without FILE: the file in GATEWAY_CONFIG, or gateway.yaml.

Exit code: 0, or ${EXIT_CONFIG} when the gateway would not start with the file.`

const HEAD = ['ROUTE', 'HOST', 'METHODS', 'PATH', 'TO', 'LIMITS', 'AND']

export const command = defineCommand({
  usage: USAGE,
  options: {},
  mostPositionals: 1,
  tooMany: 'One file at a time.',
  async run(_values, positionals) {
    const config = await readConfig(fileOf(positionals[0]))
    const routes = config.routes.toSorted((a, b) => precedence(a.match, b.match).order)
    print(table([HEAD, ...routes.map(route => rowOf(config, route))]))
    print(
      '\nA path also matches everything below it, unless it is exact. Where no route takes / or /metrics, the gateway answers itself.',
    )
    const overload = overloadText(config.entrypoint.overload)
    print(overload === undefined ? '' : `All routes: ${overload}.\n`)
    const used = new Set(routes.flatMap(route => upstreamsOf(config, route)))
    for (const upstream of used) print(`${upstream.name}: ${upstreamText(upstream)}`)
  },
})

function rowOf(config: GatewayConfig, route: RouteConfig): string[] {
  const shown = shownRoute(route, upstreamOf(config, route), policiesOf(config))
  const { host, methods, path, exact, headers } = route.match
  return [
    route.name,
    host ?? 'any',
    methods?.join(',') ?? 'any',
    `${path}${exact ? ' (exact)' : ''}${headers.map(({ name, value }) => ` [${name}: ${value}]`).join('')}`,
    `→ ${destinationText(shown)}`,
    textsAbout(shown, 'limits').join(', ') || '-',
    textsAbout(shown, 'clients', 'size', 'changes', 'upgrades', 'calls', 'objectives', 'sampling', 'log').join(', ') ||
      '-',
  ]
}
