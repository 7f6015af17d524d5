import { z } from 'zod'
import type { Incident } from '../record/incident-record'
import { differencesOf } from './differences'
import { firstLine, tell } from './story'

/** Raised when a field is removed or changes its meaning; new fields do not raise it. */
const SCHEMA_VERSION = 1

const timeMs = z.number().describe('Milliseconds since the epoch.')
const labels = z.record(z.string(), z.string())

const span = z.object({
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  service: z.string().describe('service.name of what wrote it.'),
  name: z.string(),
  kind: z.enum(['server', 'client', 'other']),
  startMs: timeMs,
  durationMs: z.number(),
  isError: z.boolean(),
  attributes: labels.describe('Without what the settings of the incident service hide.'),
  exception: z.string().optional().describe('Message of the first recorded exception.'),
})

const trace = z
  .object({
    traceId: z.string(),
    timeMs,
    durationMs: z.number(),
    method: z.string().optional(),
    path: z.string().optional(),
    route: z.string().optional(),
    upstream: z.string().optional(),
    status: z.string().optional(),
    reason: z.string().optional(),
    source: z.string().optional().describe('Where it was opened; absent: only its exemplar is known.'),
    spans: z.array(span),
  })
  .meta({ id: 'trace' })

const value = z.object({ dimension: z.string(), value: z.string() })

const difference = value.extend({
  alsoKnownAs: z.array(value).describe('Other values of the same requests.'),
  failingShare: z.number().min(0).max(1).describe('Share of the failing requests that have the value.'),
  goodShare: z.number().min(0).max(1).describe('Share of the good requests that have it.'),
  pValue: z.number().describe('Chance that any value would stand out so much without a cause.'),
  failingCount: z.number(),
  shareBefore: z.number().optional().describe('Share of the good requests before the first failure.'),
  newSinceMs: timeMs.optional().describe('When it was first seen, where no request of the minutes before had it.'),
  targets: z
    .object({ having: z.number(), of: z.number() })
    .optional()
    .describe('Of a release: on how many of the targets it ran since the first failure.'),
})

const comparison = z.object({
  differences: z.array(difference).describe('The likeliest cause first.'),
  failing: z.number(),
  sampled: z.number().describe('Failing requests that were looked at.'),
  good: z.number().describe('Good requests that were looked at.'),
  goodAre: z.enum(['of the same time', 'of the time before']),
})

const evidence = z.object({
  window: z.object({ startMs: timeMs, endMs: timeMs }).describe('Which numbers fall in this time.'),
  signatures: z
    .array(
      z.object({
        route: z.string(),
        upstream: z.string(),
        reason: z.string().describe('As in docs/errors.md.'),
        target: z.string().optional(),
        message: z.string().optional(),
        count: z.number(),
        total: z.number(),
      }),
    )
    .describe('Ways in which requests fail, the most frequent first.'),
  statuses: z.array(z.object({ status: z.string(), count: z.number(), total: z.number() })),
  load: z.object({ activeRequests: z.number().optional(), eventLoopDelay: z.number().optional() }).optional(),
  comparison: comparison.optional().describe('What failing requests have in common and good ones have not.'),
  traces: z.array(trace).describe('Requests that prove it, newest first.'),
  goodTrace: trace.optional().describe('A good request of the same route.'),
  logs: z
    .array(z.object({ traceId: z.string(), timeMs, service: z.string().optional(), text: z.string() }))
    .optional()
    .describe('Log lines of these requests, redacted and shortened.'),
  firstBadMs: timeMs.optional(),
  lastBadMs: timeMs.optional().describe('When the last request failed; known once the alert is over.'),
  lastGoodMs: timeMs.optional(),
  limitedClients: z.array(z.object({ client: z.string(), count: z.number() })),
  changes: z.array(z.object({ timeMs, what: z.string() })).describe('What changed before, oldest first.'),
  curve: z
    .object({
      what: z.string(),
      unit: z.enum(['per second', 'seconds', 'share', 'on or off']),
      startMs: timeMs,
      stepMs: z.number(),
      lines: z.array(z.object({ name: z.string(), values: z.array(z.number().nullable()) })),
    })
    .optional(),
  missing: z.array(z.string()).describe('What could not be asked, and why.'),
})

const alert = z.object({
  fingerprint: z.string(),
  labels,
  annotations: labels,
  generatorURL: z.string(),
  startsAtMs: timeMs,
  endsAtMs: timeMs.optional().describe('Absent while it fires.'),
  evidence: evidence.optional(),
})

/** The response of `GET /incidents/{id}` for programs; published as `docs/incident.schema.json`. */
export const incidentAnswer = z.object({
  schemaVersion: z.literal(SCHEMA_VERSION),
  id: z.string(),
  cause: z.string().describe('What its alerts have in common.'),
  title: z.string(),
  severity: z.string(),
  summary: z.string().describe('One line: how most of the requests fail.'),
  differences: z.array(z.string()).describe('What is different, in words.'),
  openedAtMs: timeMs,
  closedAtMs: timeMs.optional().describe('When the last of its alerts was resolved; absent while one fires.'),
  sinceMs: timeMs.describe('The first failure, as far as it is known.'),
  lastBadMs: timeMs.optional().describe('The last failure, once it is known.'),
  alerts: z.array(alert),
  acknowledged: z.object({ timeMs, by: z.string() }).optional().describe('Who works on it.'),
  notes: z
    .array(z.object({ timeMs, by: z.string(), text: z.string() }))
    .optional()
    .describe('What people wrote about it, oldest first.'),
})

/** The incident for programs: the record and the statements of the page. */
export function toIncidentAnswer(incident: Incident, now: number): object {
  const story = tell(incident, now)
  return {
    schemaVersion: SCHEMA_VERSION,
    ...incident,
    severity: story.severity,
    summary: firstLine(story),
    differences: differencesOf(incident.alerts),
    sinceMs: story.sinceMs,
    lastBadMs: story.lastBadMs,
  }
}

/** Unknown fields are allowed, because later versions may add some. */
export function incidentJsonSchema(): string {
  const schema = z.toJSONSchema(incidentAnswer, { io: 'input', target: 'draft-2020-12' })
  return `${JSON.stringify({ title: 'An incident of myesi-gateway', ...schema }, null, 2)}\n`
}
