import { parse, stringify } from 'yaml'
import { installationFiles } from '../../src/slo/monitoring-files'
import { SHIPPED_SETTINGS } from '../../src/slo/monitoring-settings'

/** The folder of the Helm chart, relative to the root of the repository. */
export const CHART = 'deploy/helm/myesi-gateway'

interface Route {
  readonly receiver: string
  readonly matchers?: readonly string[]
  readonly group_by?: readonly string[]
  readonly group_wait?: string
  readonly group_interval?: string
  readonly repeat_interval?: string
  readonly routes?: readonly Route[]
}

interface InhibitRule {
  readonly source_matchers: readonly string[]
  readonly target_matchers: readonly string[]
  readonly equal?: readonly string[]
}

interface Matcher {
  readonly name: string
  readonly matchType: string
  readonly value: string
}

const BY = '# Made by `npm run chart` from monitoring/. Edits are lost.\n'

/**
 * The files of the chart that are copies of `monitoring/`, by their path in the chart: a chart can read no file outside of its
 * own folder.
 */
export function chartFiles(): Map<string, string> {
  const installation = installationFiles([], SHIPPED_SETTINGS)
  const file = (name: string): string => {
    const text = installation.get(name)
    if (text === undefined) throw new Error(`the generator writes no ${name}`)
    return text
  }
  return new Map([
    ['files/rules.yaml', file('gateway.yml')],
    ...[...installation].flatMap(([name, text]): [string, string][] =>
      name.startsWith('dashboards/') ? [[`files/${name}`, text]] : [],
    ),
    ['files/alertmanager-config.yaml', BY + stringify(alertmanagerConfig(file('alertmanager.yml')), { lineWidth: 0 })],
  ])
}

/**
 * Route tree and inhibitions in the words of an AlertmanagerConfig. The receivers are made of values, because their secrets
 * are Secrets and their templates would be files of the Alertmanager.
 */
function alertmanagerConfig(text: string): object {
  const { route, inhibit_rules: inhibitions } = parse(text) as { route: Route; inhibit_rules: readonly InhibitRule[] }
  return {
    route: routeOf(route),
    inhibitRules: inhibitions.map(({ source_matchers: source, target_matchers: target, equal = [] }) => ({
      sourceMatch: source.map(matcherOf),
      targetMatch: target.map(matcherOf),
      ...(equal.length > 0 && { equal }),
    })),
  }
}

function routeOf(route: Route): object {
  return {
    receiver: route.receiver,
    ...(route.matchers !== undefined && { matchers: route.matchers.map(matcherOf) }),
    ...(route.group_by !== undefined && { groupBy: route.group_by }),
    ...(route.group_wait !== undefined && { groupWait: route.group_wait }),
    ...(route.group_interval !== undefined && { groupInterval: route.group_interval }),
    ...(route.repeat_interval !== undefined && { repeatInterval: route.repeat_interval }),
    ...(route.routes !== undefined && { routes: route.routes.map(routeOf) }),
  }
}

function matcherOf(text: string): Matcher {
  const [, name, matchType, value] = /^(\w+)(=~|!~|!=|=)"(.*)"$/.exec(text) ?? []
  if (name === undefined || matchType === undefined || value === undefined) throw new Error(`no matcher: ${text}`)
  return { name, matchType, value }
}
