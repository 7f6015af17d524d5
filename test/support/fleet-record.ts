import type { AskedReplica } from '../../src/incidents/fleet/compare'
import type { Summary } from '../../src/incidents/fleet/fleet'

export const FLEET_NOW = Date.UTC(2026, 10, 30, 14, 10, 0)
export const SHA256 = '1a2b3c4d'.repeat(8)

/** What a gateway answers to `GET /summary`. */
export function summaryAnswer(): object {
  return {
    time: new Date(),
    status: 'ok',
    concerns: [],
    concernsInAll: 0,
    replica: { version: '1.0.0', node: 'v24.0.0', host: 'gateway-7d9f', pid: 42, startedAt: new Date() },
    configuration: { file: 'gateway.yaml', sha256: SHA256, since: new Date(), routes: 2 },
    limits: 'redis',
    inFlight: 2,
    traffic: { perSecond: 12.5, lately: { requests: 3_000, faults: 0 } },
    targets: { all: 3, ejected: 0, list: [] },
    limited: [],
  }
}

export function summaryOf(change: Partial<Summary> = {}): Summary {
  return {
    status: 'ok',
    concerns: [],
    version: '1.0.0',
    host: 'gateway-7d9f',
    startedAtMs: FLEET_NOW - 7_500_000,
    sha256: SHA256,
    configSinceMs: FLEET_NOW - 7_500_000,
    limits: 'redis',
    load: { requestsPerSecond: 12.5, faultShare: 0, inFlight: 2 },
    requests: { requests: 3_000, faults: 0 },
    targets: 3,
    ejected: [],
    limited: [],
    ...change,
  }
}

/** A replica that answers; with `summary: undefined` one that does not. */
export function askedReplica(instance: string, change: Partial<AskedReplica> = {}): AskedReplica {
  return {
    instance,
    url: `http://${instance}`,
    lastSeenMs: FLEET_NOW - 5_000,
    scrape: 'up',
    version: '1.0.0',
    sha256: SHA256,
    load: { cpu: 0.34, eventLoopBusy: 0.12, eventLoopDelayP99Ms: 11.4, limitedPerSecond: 0 },
    ejected: [],
    summary: summaryOf(),
    ...change,
  }
}

const UNREACHABLE: Partial<AskedReplica> = {
  problem: 'connection refused',
  scrape: 'down',
  scrapeError: 'dial tcp 10.0.0.3:9464: connect: connection refused',
  lastSeenMs: FLEET_NOW - 303_000,
}

export function unreachableReplica(instance: string, change: Partial<AskedReplica> = {}): AskedReplica {
  const { summary: _summary, ...rest } = askedReplica(instance, UNREACHABLE)
  return { ...rest, ...change }
}
