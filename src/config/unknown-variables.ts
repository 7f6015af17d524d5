import type { Environment } from './environment'
import { editDistance } from './nearest-name'
import type { ConfigProblem } from './types'

/** Prefixes that are specific to this project. `PORT` and `HOST` resemble too many other variables to guess about. */
const PREFIX =
  /^(?:GATEWAY|OPS|REDIS|METRICS|TELEMETRY|SHUTDOWN|REPLICA|LOG|INCIDENT|DEMO|TRACES|PROMETHEUS|ALERTMANAGER|JAEGER|TEMPO|GRAFANA)/
/** Variables that Kubernetes sets in every pod for every service. */
const SERVICE_LINK = /_SERVICE_(?:HOST|PORT)|_PORT_\d+_(?:TCP|UDP|SCTP)|_PORT=(?:tcp|udp|sctp):/

/**
 * Warns of variables that resemble one of ours: with `REDIS_URI`, limits would silently be counted in memory. To avoid
 * false alarms, only if the intended variable is unset and the distance is at most one edit per six characters.
 */
export function unknownVariables(env: Environment, known: readonly string[]): ConfigProblem[] {
  const unset = known.filter(name => !env[name])
  return Object.keys(env)
    .filter(
      name => env[name] && PREFIX.test(name) && !SERVICE_LINK.test(`${name}=${env[name]}`) && !known.includes(name),
    )
    .flatMap(name => {
      const farthest = Math.max(1, Math.floor(name.length / 6))
      const meant = unset.find(ours => editDistance(name, ours) <= farthest)
      if (meant === undefined) return []
      return [
        {
          where: name,
          problem: 'is not a known variable and has no effect',
          nearest: meant,
          severity: 'warning' as const,
        },
      ]
    })
}
