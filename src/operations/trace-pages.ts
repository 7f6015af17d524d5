import { html, type Content, type Html } from '../pages/html'
import { readSpans } from './otlp-spans'
import type { TraceFilter, TraceSummary } from './sources'
import { duration } from '../pages/times'
import { waterfall } from '../pages/waterfall'

/** What can be chosen from in the list; all other filters are typed or come by a link. */
const CHOICES = ['outcome', 'reason', 'route', 'upstream', 'status', 'method', 'cause'] as const
const LABELS: Readonly<Record<string, string>> = { cause: 'kept as', status: 'status', path: 'path' }

/**
 * @param found what the filter let through, newest first
 * @param all every trace that is there, to choose from
 */
export function tracesPage(found: readonly TraceSummary[], all: readonly TraceSummary[], filter: TraceFilter): Html {
  return html`<h1>Kept traces</h1>
    <form method="get" action="/traces">
      ${CHOICES.map(name => choice(name, all, filter[name]))}
      <label>path <input name="path" value="${filter.path ?? ''}" /></label>
      <button>Filter</button>
      <a href="/traces">All</a>
    </form>
    ${found.length === 0 ? emptyList(all.length) : table(found, filter)}
    <p class="muted">
      ${found.length} of ${all.length}. Faults, slow and limited requests are kept, up to a rate per route and reason,
      and what was sampled.
    </p>`
}

function choice(name: (typeof CHOICES)[number], all: readonly TraceSummary[], chosen: string | undefined): Html {
  const values = [...new Set(all.map(trace => trace[name]).filter(value => value !== undefined))].map(String).sort()
  if (chosen !== undefined && !values.includes(chosen)) values.push(chosen)
  return html`<label
    >${LABELS[name] ?? name}
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

function table(traces: readonly TraceSummary[], filter: TraceFilter): Html {
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

function row(trace: TraceSummary, filter: TraceFilter): Html {
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

/** A value as a link to those that share it, beside what is chosen already. */
function narrowing(
  name: keyof TraceSummary,
  value: string | number | undefined,
  filter: TraceFilter,
  content: Content = value,
): Content {
  if (value === undefined) return undefined
  const query = new URLSearchParams()
  for (const [key, chosen] of Object.entries({ ...filter, [name]: String(value) })) {
    if (chosen !== undefined) query.set(key, chosen)
  }
  return html`<a href="/traces?${query.toString()}">${content}</a>`
}

/** @param requests what is kept of the trace, one line each */
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
    request.upstream !== undefined && html`<span>upstream ${request.upstream}</span>`,
    html`<span class="muted">${time(request.timeMs)} UTC, kept as ${request.cause}</span>`,
  ]
  return html`<p class="facts">${parts}</p>`
}

function outcome(name: string): Html {
  return html`<span class="outcome ${name}">${name.replace('_', ' ')}</span>`
}

function time(timeMs: number): Html {
  const iso = new Date(timeMs).toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 23).replace('T', ' ')}</time>`
}
