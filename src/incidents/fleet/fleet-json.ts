import { z } from 'zod'
import type { Fleet } from './fleet'

/** Raised when a field is removed or changes its meaning; new fields do not raise it. */
const SCHEMA_VERSION = 1

const timeMs = z.number().describe('Milliseconds since the epoch.')
const instances = z.array(z.string()).describe('Replicas, by the label `instance` of Prometheus.')
const group = z.object({ value: z.string(), instances })
const limited = { client: z.string(), route: z.string(), policy: z.string(), count: z.number() }
const ejected = { upstream: z.string(), target: z.string(), reason: z.string().optional() }

const load = z.object({
  requestsPerSecond: z.number().optional(),
  faultShare: z.number().optional().describe('Of the requests of the last 5 minutes, from 0 to 1; absent without any.'),
  limitedPerSecond: z.number().optional(),
  inFlight: z.number().optional(),
  cpu: z.number().optional().describe('Cores in use.'),
  eventLoopBusy: z.number().optional().describe('Share of time, from 0 to 1.'),
  eventLoopDelayP99Ms: z.number().optional(),
})

const replica = z.object({
  instance: z.string(),
  url: z.string().optional().describe('Address of the ops port, as the replica reported it.'),
  state: z
    .enum(['ok', 'attention', 'not_ready', 'unreachable', 'gone'])
    .describe('`unreachable`: its ops port gives no summary. `gone`: Prometheus stopped scraping it.'),
  scrape: z.enum(['up', 'down', 'gone']).describe('Whether Prometheus scrapes it.'),
  problem: z.string().optional().describe('Why the ops port gave no summary.'),
  scrapeError: z.string().optional().describe('Why the last scrape failed.'),
  lastSeenMs: timeMs.optional().describe('Last successful scrape within the last hour.'),
  version: z.string().optional(),
  sha256: z.string().optional().describe('Checksum of the active configuration.'),
  differs: z
    .object({ version: z.boolean(), configuration: z.boolean() })
    .describe('Whether they are not those of most replicas.'),
  load: load.describe('The last known load if the replica is unreachable.'),
  ejected: z.array(z.object(ejected)),
  summary: z
    .object({
      status: z.enum(['ok', 'attention', 'not_ready']),
      notReady: z.string().optional(),
      concerns: z.array(z.string()),
      host: z.string(),
      startedAtMs: timeMs,
      configSinceMs: timeMs,
      refusedReload: z.object({ timeMs, reason: z.string().optional() }).optional(),
      limits: z.enum(['memory', 'redis', 'degraded']),
      requests: z.object({ requests: z.number(), faults: z.number() }).describe('Of the last 5 minutes.'),
      targets: z.number(),
      limited: z.array(z.object(limited)),
    })
    .optional()
    .describe('What its ops port answered; absent if it did not.'),
})

/** The response of `GET /fleet` for programs; published as `docs/fleet.schema.json`. */
export const fleetAnswer = z.object({
  schemaVersion: z.literal(SCHEMA_VERSION),
  timeMs,
  concerns: z
    .array(z.object({ kind: z.enum(['bad', 'warn']), text: z.string() }))
    .describe('What needs attention, the most severe first.'),
  replicas: z.array(replica).describe('Those that need attention first.'),
  leftOut: z.number().describe('Replicas beyond the maximum, neither asked nor shown.'),
  versions: z.array(group).describe('The most frequent first.'),
  configurations: z.array(group),
  ejected: z.array(z.object({ ...ejected, instances })),
  limited: z.array(z.object({ ...limited, instances })),
  prometheusProblem: z.string().optional().describe('Why Prometheus did not answer; absent: it did.'),
})

/** The fleet for programs. */
export function toFleetAnswer(fleet: Fleet): object {
  return fleetAnswer.parse({ schemaVersion: SCHEMA_VERSION, ...fleet })
}

/** Unknown fields are allowed, because later versions may add some. */
export function fleetJsonSchema(): string {
  const schema = z.toJSONSchema(fleetAnswer, { io: 'input', target: 'draft-2020-12' })
  return `${JSON.stringify({ title: 'The replicas of myesi-gateway', ...schema }, null, 2)}\n`
}
