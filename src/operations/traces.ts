import type { IncomingMessage, ServerResponse } from 'node:http'
import { html } from '../pages/html'
import { wantsHtml } from '../pages/wants-html'
import { sendOpsPage } from './page'
import { sendJson } from './send-json'
import type { TraceFilter, TraceReader, TraceSummary } from './sources'
import { tracePage, tracesPage } from './trace-pages'

export type { TraceFilter, TraceReader, TraceSummary }

const FILTERS = ['method', 'path', 'route', 'upstream', 'status', 'outcome', 'reason', 'cause', 'traceId'] as const
const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1_000

/**
 * `GET /traces`: the kept requests, newest first, filtered by exact values (`?route=/api/orders&outcome=fault&limit=20`); an
 * empty value is none. A list to click on for a browser, JSON for everybody else.
 */
export function listTraces(traces: TraceReader, request: IncomingMessage, response: ServerResponse): void {
  const query = parseQuery(request.url ?? '/')
  if ('problem' in query) {
    const { problem, ...rest } = query
    if (wantsHtml(request)) sendOpsPage(response, 400, 'Not understood', html`<h1>${problem}</h1>`)
    else sendJson(response, 400, { error: problem, ...rest })
    return
  }
  const found = traces.list(query.filter, query.limit)
  if (wantsHtml(request)) {
    sendOpsPage(response, 200, 'Kept traces', tracesPage(found, traces.list({}, MAX_LIMIT), query.filter))
    return
  }
  sendJson(response, 200, { traces: found.map(({ timeMs, ...rest }) => ({ time: new Date(timeMs), ...rest })) })
}

type Query =
  | { readonly filter: TraceFilter; readonly limit: number }
  | { readonly problem: string; readonly allowed?: readonly string[] }

function parseQuery(url: string): Query {
  const query = new URL(url, 'http://ops').searchParams
  const known: readonly string[] = [...FILTERS, 'limit', 'format']
  const unknown = [...query.keys()].find(name => !known.includes(name))
  if (unknown !== undefined) return { problem: `unknown parameter "${unknown}"`, allowed: known }
  const limit = Number(query.get('limit') || DEFAULT_LIMIT)
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    return { problem: `limit is a whole number from 1 to ${MAX_LIMIT}` }
  }
  return { filter: Object.fromEntries(FILTERS.map(name => [name, query.get(name) || undefined])), limit }
}

const TRACE_ID = /^[0-9a-f]{32}$/

/** `GET /traces/{id}`: one trace, as bars on a time axis for a browser, else as OTLP/JSON; 404 when it is gone. */
export function showTrace(
  traces: TraceReader,
  traceId: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const json = TRACE_ID.test(traceId) ? traces.otlpJson(traceId) : undefined
  if (json === undefined) {
    const problem = 'no such trace is kept here (any more)'
    if (wantsHtml(request))
      sendOpsPage(
        response,
        404,
        'Gone',
        html`<h1>Gone</h1>
          <p>${problem}: ${traceId}</p>`,
      )
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
