import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { LIMITS } from './limits'
import { OVERVIEW } from './overview'
import { PIPELINE } from './pipeline'
import { REDIS_DASHBOARD } from './redis'
import { RUNTIME } from './runtime'
import { UPSTREAMS } from './upstreams'

const DASHBOARDS: Readonly<Record<string, Dashboard>> = {
  'gateway.json': OVERVIEW,
  'upstreams.json': UPSTREAMS,
  'limits.json': LIMITS,
  'redis.json': REDIS_DASHBOARD,
  'runtime.json': RUNTIME,
  'pipeline.json': PIPELINE,
}

/** The files of monitoring/grafana/dashboards by name. */
export function dashboardTexts(): Map<string, string> {
  return new Map(Object.entries(DASHBOARDS).map(([name, built]) => [name, `${JSON.stringify(built, null, 2)}\n`]))
}
