import type { IncomingMessage, ServerResponse } from 'node:http'
import { html } from '../pages/html'
import { wantsHtml } from '../pages/wants-html'
import { sendOpsPage } from './page'
import { sendJson } from './send-json'
import type { TraceFilter, TraceReader, TraceSummary } from './sources'
import { duration } from '../config/values/duration'
import { groupEqual, type TraceGroup } from './trace-groups'
import { gonePage, groupsPage, tracePage, tracesPage, type QueryText } from './trace-pages'

export type { TraceFilter, TraceReader, TraceSummary }

const FILTERS = [
  'method',
  'path',
  'route',
  'upstream',
  'status',
  'outcome',
  'reason',
  'cause',
  'traceId',
  'requestId',
  'consumer',
] as const
const RANGES = ['minDuration', 'from', 'to'] as const
const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1_000
/** More pages than the recorder has requests. */
const MAX_PAGE = 2_000

/**
 * `GET /traces`: the kept requests, newest first, filtered by exact values (`?route=/api/orders&outcome=fault&limit=20`), a class
 * of statuses (`status=5xx`), duration (`minDuration=1s`) and time (`from=15m`, `to=2026-11-30T12:00:00Z`); empty
 * values are ignored. Browsers get a page with links, other clients get JSON.
 */
export function listTraces(traces: TraceReader, request: IncomingMessage, response: ServerResponse): void {
  const query = parseQuery(request.url ?? '/')
  if ('problem' in query) {
    const { problem, ...rest } = query
    if (wantsHtml(request)) sendOpsPage(response, 400, 'Not understood', html`<h1>${problem}</h1>`)
    else sendJson(response, 400, { error: problem, ...rest })
    return
  }
  const { filter, limit, page, isGrouped, text } = query
  const matching = traces.list(filter, isGrouped ? MAX_PAGE : page * limit + (wantsHtml(request) ? 1 : 0))
  if (isGrouped) {
    const groups = groupEqual(matching).slice(0, limit)
    if (wantsHtml(request)) {
      sendOpsPage(response, 200, 'Kept traces', groupsPage(groups, traces.list({}, MAX_LIMIT), text))
    } else sendJson(response, 200, { groups: groups.map(shownGroup) })
    return
  }
  const found = matching.slice((page - 1) * limit, page * limit)
  if (wantsHtml(request)) {
    const paging = { page, hasMore: matching.length > page * limit }
    sendOpsPage(response, 200, 'Kept traces', tracesPage(found, traces.list({}, MAX_LIMIT), text, paging))
    return
  }
  sendJson(response, 200, { traces: found.map(({ timeMs, ...rest }) => ({ time: new Date(timeMs), ...rest })) })
}

type Query =
  | {
      readonly filter: TraceFilter
      readonly limit: number
      readonly page: number
      readonly isGrouped: boolean
      /** What was asked for, as it is written. */
      readonly text: QueryText
    }
  | { readonly problem: string; readonly allowed?: readonly string[] }

function parseQuery(url: string): Query {
  const query = new URL(url, 'http://ops').searchParams
  const known: readonly string[] = [...FILTERS, ...RANGES, 'limit', 'page', 'group', 'format']
  const unknown = [...query.keys()].find(name => !known.includes(name))
  if (unknown !== undefined) return { problem: `unknown parameter "${unknown}"`, allowed: known }
  const limit = Number(query.get('limit') || DEFAULT_LIMIT)
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    return { problem: `limit is a whole number from 1 to ${MAX_LIMIT}` }
  }
  const page = Number(query.get('page') || 1)
  if (!Number.isInteger(page) || page < 1 || page > MAX_PAGE) {
    return { problem: `page is a whole number from 1 to ${MAX_PAGE}` }
  }
  const group = query.get('group') || undefined
  if (group !== undefined && group !== 'equal') return { problem: 'group is "equal"' }
  const minDurationMs = durationOf(query.get('minDuration'))
  if (minDurationMs === null) return { problem: 'minDuration is a duration such as 250ms or 2s' }
  const [fromMs, toMs] = [timeOf(query.get('from')), timeOf(query.get('to'))]
  if (fromMs === null || toMs === null) {
    return { problem: 'from and to are times such as 2026-11-30T12:00:00Z, or how long ago: 15m' }
  }
  const equal = Object.fromEntries(FILTERS.map(name => [name, query.get(name) || undefined]))
  const text: QueryText = Object.fromEntries(
    [...FILTERS, ...RANGES, 'limit', 'group'].flatMap(name => {
      const value = query.get(name)
      return value ? [[name, value]] : []
    }),
  )
  const isGrouped = group === 'equal'
  return { filter: { ...equal, minDurationMs, fromMs, toMs }, limit, page, isGrouped, text }
}

const parseDuration = duration({ atLeast: '0s', atMost: '7d' })

/** Parses a duration; null if it is invalid. */
function durationOf(text: string | null): number | undefined | null {
  if (!text) return undefined
  const parsed = parseDuration(text)
  return 'value' in parsed ? parsed.value : null
}

/** Parses a point in time or a relative time; null if it is neither. */
function timeOf(text: string | null): number | undefined | null {
  if (!text) return undefined
  const ago = durationOf(text)
  if (typeof ago === 'number') return Date.now() - ago
  const time = Date.parse(text)
  return Number.isNaN(time) ? null : time
}

function shownGroup({ newest, oldest, count }: TraceGroup): object {
  const { route, upstream, method, status, outcome, reason, traceId } = newest
  const times = { first: new Date(oldest.timeMs), last: new Date(newest.timeMs) }
  return { count, route, upstream, method, status, outcome, reason, ...times, traceId }
}

/** With the span behind it where it is the id of a request. */
const REQUEST_ID = /^([0-9a-f]{32})-[0-9a-f]{16}$/
const TRACE_ID = /^[0-9a-f]{32}$/

/** `GET /traces/{id}`: one trace, as bars on a time axis for a browser, else as OTLP/JSON; 404 when it is gone. */
export function showTrace(
  traces: TraceReader,
  traceId: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const requested = REQUEST_ID.exec(traceId)?.[1]
  if (requested !== undefined) return showTrace(traces, requested, request, response)
  const json = TRACE_ID.test(traceId) ? traces.otlpJson(traceId) : undefined
  if (json === undefined) {
    const problem = 'no such trace is kept here (any more)'
    if (wantsHtml(request)) sendOpsPage(response, 404, 'Not kept', gonePage(traceId))
    else sendJson(response, 404, { error: problem })
    return
  }
  if (wantsHtml(request)) {
    const content = tracePage(traceId, traces.list({ traceId }, MAX_LIMIT), json)
    sendOpsPage(response, 200, `Trace ${traceId.slice(0, 8)}`, content)
    return
  }
  response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Vary: 'Accept' })
  response.end(json)
}
