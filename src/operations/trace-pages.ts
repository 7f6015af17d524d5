import { html, type Content, type Html } from '../pages/html'
import { readSpans } from './otlp-spans'
import type { TraceSummary } from './sources'
import { clock, dateAndClock, duration } from '../pages/times'
import type { TraceGroup } from './trace-groups'
import { waterfall } from '../pages/waterfall'

/** Filters with a selection list; all others are typed or set by a link. */
const CHOICES = ['outcome', 'reason', 'route', 'upstream', 'status', 'method', 'consumer', 'cause'] as const
/** Query parameters of a list. */
export type QueryText = Readonly<Record<string, string>>

const LABELS: Readonly<Record<string, string>> = { cause: 'kept as', status: 'status', path: 'path' }

/**
 * @param found the traces that match the filter, newest first
 * @param all all kept traces, for the selection lists
 */
export function tracesPage(
  found: readonly TraceSummary[],
  all: readonly TraceSummary[],
  filter: QueryText,
  { page, hasMore }: { readonly page: number; readonly hasMore: boolean } = { page: 1, hasMore: false },
): Html {
  return html`<h1>Kept traces</h1>
    ${filterForm(all, filter)} ${found.length === 0 ? emptyList(all.length) : table(found, filter)}
    <p>
      ${page > 1 && html`<a href="${linkTo({ ...filter, page: String(page - 1) })}">Newer</a>`}
      ${hasMore && html`<a href="${linkTo({ ...filter, page: String(page + 1) })}">Older</a>`}
    </p>
    <p class="muted">
      ${found.length} of ${all.length}. Faults, slow and limited requests are kept, up to a rate per route and reason,
      and what was sampled.
    </p>`
}

/** Builds a page with one row for each group of requests that ended alike. */
export function groupsPage(groups: readonly TraceGroup[], all: readonly TraceSummary[], filter: QueryText): Html {
  const { group: _, ...single } = filter
  const rows = groups.map(({ count, newest, oldest }) => {
    const { route, upstream, method, status, outcome: ended, reason } = newest
    const alike = {
      route,
      upstream,
      method,
      status: status === undefined ? undefined : String(status),
      outcome: ended,
      reason,
    }
    return html`<tr>
      <td class="number" data-label="requests"><a href="${linkTo({ ...single, ...alike })}">${count}</a></td>
      <td data-label="">${ended !== undefined && outcome(ended)}</td>
      <td data-label="status">${status}</td>
      <td data-label="">${method}</td>
      <td data-label="route">${route}</td>
      <td data-label="upstream">${upstream}</td>
      <td data-label="reason">${reason}</td>
      <td class="time" data-label="first">${time(oldest.timeMs)}</td>
      <td class="time" data-label="last"><a href="/traces/${newest.traceId}">${time(newest.timeMs)}</a></td>
    </tr>`
  })
  const heads = ['Outcome', 'Status', 'Method', 'Route', 'Upstream', 'Reason', 'First (UTC)', 'Last (UTC)']
  return html`<h1>Kept traces</h1>
    ${filterForm(all, filter)}
    <table>
      <thead>
        <tr>
          <th class="number">Requests</th>
          ${heads.map(head => html`<th>${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>`
}

const STATUS_CLASSES = ['2xx', '3xx', '4xx', '5xx']
const AGES = ['1m', '5m', '15m', '1h']

function filterForm(all: readonly TraceSummary[], filter: QueryText): Html {
  return html`<form method="get" action="/traces">
    ${CHOICES.map(name => choice(name, all, filter[name]))}
    <label>path <input name="path" value="${filter['path'] ?? ''}" /></label>
    <label>request id <input name="requestId" value="${filter['requestId'] ?? ''}" /></label>
    <label
      >at least <input name="minDuration" placeholder="250ms" size="6" value="${filter['minDuration'] ?? ''}"
    /></label>
    ${select('from', 'last', AGES, filter['from'])}
    ${filter['to'] !== undefined && html`<input type="hidden" name="to" value="${filter['to']}" />`}
    ${select('group', 'group', ['equal'], filter['group'])}
    <button>Filter</button>
    <a href="/traces">All</a>
  </form>`
}

/** Builds a link, omitting undefined parameters. */
function linkTo(values: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(values)) if (value !== undefined) query.set(key, value)
  return `/traces?${query.toString()}`
}

function choice(name: (typeof CHOICES)[number], all: readonly TraceSummary[], chosen: string | undefined): Html {
  const values = [...new Set(all.map(trace => trace[name]).filter(value => value !== undefined))].map(String).sort()
  return select(name, LABELS[name] ?? name, name === 'status' ? [...values, ...STATUS_CLASSES] : values, chosen)
}

function select(name: string, label: string, listed: readonly string[], chosen: string | undefined): Html {
  const values = chosen === undefined || listed.includes(chosen) ? listed : [...listed, chosen]
  return html`<label
    >${label}
    <select name="${name}">
      <option value="">any</option>
      ${values.map(value =>
        value === chosen ? html`<option selected>${value}</option>` : html`<option>${value}</option>`,
      )}
    </select></label
  >`
}

function emptyList(all: number): Html {
  if (all > 0) return html`<p>None of the ${all} kept traces matches.</p>`
  return html`<p>No traces kept yet. Failing, slow and rate-limited requests will appear here.</p>`
}

function table(traces: readonly TraceSummary[], filter: QueryText): Html {
  const heads = ['Time (UTC)', 'Outcome', 'Status', 'Method', 'Path', 'Route', 'Upstream', 'Reason', 'Kept as']
  return html`<table>
    <thead>
      <tr>
        ${heads.map(head => html`<th>${head}</th>`)}
        <th class="number">Duration</th>
      </tr>
    </thead>
    <tbody>
      ${traces.map(trace => row(trace, filter))}
    </tbody>
  </table>`
}

function row(trace: TraceSummary, filter: QueryText): Html {
  const cell = (name: keyof TraceSummary, label: string, content?: Content): Html =>
    html`<td data-label="${label}">${narrowing(name, trace[name], filter, content)}</td>`
  return html`<tr>
    <td class="time wide" data-label=""><a href="/traces/${trace.traceId}">${time(trace.timeMs)}</a></td>
    ${cell('outcome', '', trace.outcome !== undefined && outcome(trace.outcome))} ${cell('status', 'status')}
    ${cell('method', '')}
    <td class="wide mono" data-label="">${trace.path}</td>
    ${cell('route', 'route')} ${cell('upstream', 'upstream')} ${cell('reason', 'reason')} ${cell('cause', 'kept as')}
    <td class="number" data-label="took">${duration(trace.durationMs)}</td>
  </tr>`
}

/** Links a value to the list that is narrowed to it, keeping the current filters. */
function narrowing(
  name: keyof TraceSummary,
  value: string | number | undefined,
  filter: QueryText,
  content: Content = value,
): Content {
  if (value === undefined) return undefined
  return html`<a href="${linkTo({ ...filter, [name]: String(value) })}">${content}</a>`
}

/** @param requests the kept requests of the trace, one line each */
export function tracePage(traceId: string, requests: readonly TraceSummary[], otlpJson: string): Html {
  const [first] = requests.toSorted((a, b) => a.timeMs - b.timeMs)
  return html`<h1>${first?.method} ${first?.path ?? traceId}</h1>
    ${requests.map(summary)}
    <p class="mono muted">trace ${traceId} · <a href="/traces/${traceId}?format=json">JSON</a></p>
    ${waterfall(readSpans(otlpJson))}`
}

function summary(request: TraceSummary): Html {
  const parts: Content[] = [
    request.outcome !== undefined && outcome(request.outcome),
    request.status !== undefined && html`<strong>${request.status}</strong>`,
    request.reason !== undefined && html`<span>reason ${request.reason}</span>`,
    html`<span>${duration(request.durationMs)}</span>`,
    request.route !== undefined && html`<span>route ${request.route}</span>`,
    request.consumer !== undefined && html`<span>consumer ${request.consumer}</span>`,
    request.requestId !== undefined && html`<span class="mono">request ${request.requestId}</span>`,
    request.upstream !== undefined && html`<span>upstream ${request.upstream}</span>`,
    html`<span class="muted">${time(request.timeMs)} UTC, kept as ${request.cause}</span>`,
  ]
  return html`<p class="facts">${parts}</p>`
}

function outcome(name: string): Html {
  return html`<span class="outcome ${name}">${name.replace('_', ' ')}</span>`
}

/** The date only where it is not today: a list in which each row repeats it is hard to read. */
function time(timeMs: number, now = Date.now()): Html {
  const iso = new Date(timeMs).toISOString()
  const isToday = dateAndClock(now).slice(0, 10) === iso.slice(0, 10)
  const text = `${isToday ? '' : `${iso.slice(0, 10)} `}${clock(timeMs)}${iso.slice(19, 23)}`
  return html`<time datetime="${iso}" title="${dateAndClock(timeMs)} UTC">${text}</time>`
}

/** The page of a trace that is not kept: why that is so, and where to look next. */
export function gonePage(traceId: string): Html {
  return html`<h1>This trace is not kept here</h1>
    <p class="mono">${traceId.slice(0, 100)}</p>
    <p>
      A replica keeps the newest faults, slow and limited requests and what was sampled, up to a rate for each route and
      reason, until newer ones take their place or it restarts. Perhaps another replica handled the request, or a trace
      backend has it.
    </p>
    <p>
      <a href="/traces?outcome=fault&amp;group=equal">Kept faults, grouped</a> · <a href="/traces">All kept traces</a>
    </p>`
}
