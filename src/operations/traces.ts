import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendJson } from './send-json'

/** One kept trace in a list, as the telemetry of the process tells it. */
export interface TraceSummary {
  readonly traceId: string
  /** Milliseconds since the epoch. */
  readonly timeMs: number
  readonly method: string | undefined
  readonly path: string | undefined
  readonly route: string | undefined
  readonly upstream: string | undefined
  readonly status: number | undefined
  readonly outcome: string | undefined
  readonly reason: string | undefined
  readonly durationMs: number
  /** Why it was kept. */
  readonly cause: string
}

export type TraceFilter = { readonly [Key in keyof TraceSummary]?: string | undefined }

export interface TraceReader {
  list(filter: TraceFilter, limit: number): readonly TraceSummary[]
  otlpJson(traceId: string): string | undefined
}

const FILTERS = ['method', 'path', 'route', 'upstream', 'status', 'outcome', 'reason', 'cause', 'traceId'] as const
const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1_000

/** `GET /traces`: the kept traces, newest first, filtered by exact values (`?route=/api/orders&outcome=fault&limit=20`). */
export function listTraces(traces: TraceReader, request: IncomingMessage, response: ServerResponse): void {
  const query = new URL(request.url ?? '/', 'http://ops').searchParams
  const known: readonly string[] = [...FILTERS, 'limit']
  const unknown = [...query.keys()].find(name => !known.includes(name))
  if (unknown !== undefined) {
    sendJson(response, 400, { error: `unknown parameter "${unknown}"`, allowed: known })
    return
  }
  const limit = Number(query.get('limit') ?? DEFAULT_LIMIT)
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    sendJson(response, 400, { error: `limit is a whole number from 1 to ${MAX_LIMIT}` })
    return
  }
  const filter = Object.fromEntries(FILTERS.map(name => [name, query.get(name) ?? undefined]))
  const found = traces.list(filter, limit)
  sendJson(response, 200, { traces: found.map(({ timeMs, ...rest }) => ({ time: new Date(timeMs), ...rest })) })
}

const TRACE_ID = /^[0-9a-f]{32}$/

/** `GET /traces/{id}`: one trace as OTLP/JSON, as any trace viewer reads it; 404 when it is gone. */
export function showTrace(traces: TraceReader, traceId: string, response: ServerResponse): void {
  const json = TRACE_ID.test(traceId) ? traces.otlpJson(traceId) : undefined
  if (json === undefined) {
    sendJson(response, 404, { error: 'no such trace is kept here (any more)' })
    return
  }
  response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
  response.end(json)
}
