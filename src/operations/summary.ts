import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendJson } from './send-json'
import type { TargetState, UpstreamState } from './sources'
import { readSummary, type StatusSources } from './status/status'

/** Maximum concerns and ejected targets in a summary; `/status` and `/upstreams` have all. */
const MAX_CONCERNS = 10
const MAX_EJECTED = 20

/** `GET /summary`: this replica in about two kilobytes of JSON, for the fleet page of the incident service. */
export function showSummary(sources: StatusSources, _request: IncomingMessage, response: ServerResponse): void {
  const now = Date.now()
  const { timeMs, replica, traffic, upstreams, redis, configuration, concerns, ...rest } = readSummary(sources, now)
  const { startedAtMs, ...process } = replica
  const { sinceMs, lastReload, ...active } = configuration
  const ejected = upstreams.flatMap(ejectedOf)
  sendJson(response, 200, {
    time: new Date(timeMs),
    ...rest,
    concerns: concerns.slice(0, MAX_CONCERNS).map(({ text }) => text),
    concernsInAll: concerns.length,
    replica: { ...process, startedAt: new Date(startedAtMs) },
    traffic,
    targets: {
      all: upstreams.reduce((sum, { targets }) => sum + targets.length, 0),
      ejected: ejected.length,
      list: ejected.slice(0, MAX_EJECTED),
    },
    limits: redis === undefined ? 'memory' : redis.isUsable ? 'redis' : 'degraded',
    configuration: {
      ...active,
      since: new Date(sinceMs),
      lastReload: lastReload && {
        time: new Date(lastReload.atMs),
        isRefused: lastReload.isRefused,
        reason: lastReload.isRefused ? lastReload.details[0] : undefined,
      },
    },
  })
}

function ejectedOf({ name, targets }: UpstreamState): object[] {
  return targets
    .filter(({ healthy }) => !healthy)
    .map(target => ({ upstream: name, target: target.target, reason: reasonOf(target) }))
}

function reasonOf({ circuit, healthCheck }: TargetState): string {
  if (healthCheck?.healthy === false) return `health check: ${healthCheck.lastFailure ?? 'failed'}`
  if (circuit === 'open' || circuit === 'half_open') return `circuit ${circuit.replace('_', ' ')}`
  return 'requests to it failed'
}
