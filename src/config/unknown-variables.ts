import type { Environment } from './environment'
import { editDistance } from './nearest-name'
import type { ConfigProblem } from './types'

/** Prefixes that are ours and few others use; `PORT` and `HOST` have so many neighbours that no guess about them is worth making. */
const PREFIX =
  /^(?:GATEWAY|OPS|REDIS|METRICS|TELEMETRY|SHUTDOWN|REPLICA|LOG|INCIDENT|DEMO|TRACES|PROMETHEUS|ALERTMANAGER|JAEGER|TEMPO|GRAFANA)/
/** What Kubernetes sets in every pod for every service, whatever the service is called. */
const SERVICE_LINK = /_SERVICE_(?:HOST|PORT)|_PORT_\d+_(?:TCP|UDP|SCTP)|_PORT=(?:tcp|udp|sctp):/

/**
 * Warns of variables that are almost one of ours: `REDIS_URI` would otherwise count limits in memory without a word. Only
 * when the variable that is meant is not set, and at most one edit per six characters away, to raise no false alarms.
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
