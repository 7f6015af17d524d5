import { html, type Html } from './html'
import { attribute, type ShownAttribute, type ShownSpan } from './shown-span'
import { duration } from './times'

/** Rows of one page. A trace id that a client uses for everything may have thousands. */
const MAX_ROWS = 500
const DEEPEST_INDENT = 6
const TICKS = [0, 0.25, 0.5, 0.75, 1]

interface Row {
  readonly span: ShownSpan
  readonly depth: number
}

/** Shows the spans of a trace as bars on one time axis, each below its parent; a click opens the details. */
export function waterfall(spans: readonly ShownSpan[]): Html {
  const rows = nested(spans)
  const startMs = Math.min(...spans.map(span => span.startMs))
  const totalMs = Math.max(...spans.map(span => span.startMs + span.durationMs)) - startMs
  const left = rows.length - MAX_ROWS
  return html`<div class="waterfall">
    <div class="axis">
      <span></span>
      <span class="ticks">${TICKS.map(part => html`<span>${duration(totalMs * part)}</span>`)}</span>
      <span></span>
    </div>
    ${rows.slice(0, MAX_ROWS).map(row => line(row, startMs, totalMs))}
    ${left > 0 && html`<p class="muted">${left} more spans are in the JSON.</p>`}
  </div>`
}

/** Parents before their children, siblings by time; a span whose parent is elsewhere stands at the top. */
function nested(spans: readonly ShownSpan[]): Row[] {
  const known = new Set(spans.map(({ spanId }) => spanId))
  const children = Map.groupBy(spans, ({ parentSpanId, spanId }) =>
    parentSpanId !== undefined && parentSpanId !== spanId && known.has(parentSpanId) ? parentSpanId : '',
  )
  const rows: Row[] = []
  const waiting: Row[] = []
  const add = (parent: string, depth: number): void => {
    const latestFirst = (children.get(parent) ?? []).toSorted((a, b) => b.startMs - a.startMs)
    waiting.push(...latestFirst.map(span => ({ span, depth })))
    children.delete(parent) // each span once, even if two spans name each other as parent
  }
  const addAll = (): void => {
    for (let row = waiting.pop(); row !== undefined; row = waiting.pop()) {
      rows.push(row)
      add(row.span.spanId, row.depth + 1)
    }
  }
  add('', 0)
  addAll()
  // Spans in a cycle of parents are not reachable from the top, so they are added here.
  for (const parent of children.keys()) {
    add(parent, 0)
    addAll()
  }
  return rows
}

function line({ span, depth }: Row, startMs: number, totalMs: number): Html {
  return html`<details class="span depth-${Math.min(depth, DEEPEST_INDENT)}">
    <summary>
      <span class="name">${span.name} ${whereTo(span)} ${whatFailed(span)}</span>
      ${bar(span, startMs, totalMs)}
      <span class="took">${duration(span.durationMs)} ${status(span)}</span>
    </summary>
    <div class="inside">${inside(span, startMs)}</div>
  </details>`
}

/** The service, and what it called. */
function whereTo({ service, kind, attributes }: ShownSpan): Html {
  const upstream = attribute(attributes, 'gateway.upstream.name')
  const address = attribute(attributes, 'server.address')
  const port = attribute(attributes, 'server.port')
  const called = [upstream, address === undefined ? undefined : port === undefined ? address : `${address}:${port}`]
  const target = kind === 'client' ? called.filter(part => part !== undefined).join(', ') : ''
  return html`<small>${service} · ${kind}${target !== '' && ` → ${target}`}</small>`
}

/** In a colour and in words: status, error type, and what the exception said. */
function whatFailed({ isError, statusMessage, attributes, events }: ShownSpan): Html | undefined {
  const outcome = attribute(attributes, 'gateway.outcome')
  const reason = attribute(attributes, 'gateway.reason')
  if (!isError) return outcome === 'refusal' ? html`<span class="warn-text">${reason}</span>` : undefined
  const exceptions = events.map(event => attribute(event.attributes, 'exception.message'))
  // A status that failed stands at the end of the row already.
  const type = attribute(attributes, 'error.type')
  const said = [statusMessage, type === attribute(attributes, 'http.response.status_code') ? '' : type, ...exceptions]
    .filter(text => text !== undefined && text !== '')
    .join(' · ')
  return said === '' ? undefined : html`<span class="bad-text">${said}</span>`
}

function bar({ startMs: from, durationMs, kind, isError, name }: ShownSpan, startMs: number, totalMs: number): Html {
  const x = totalMs === 0 ? 0 : ((from - startMs) / totalMs) * 100
  const width = totalMs === 0 ? 100 : (durationMs / totalMs) * 100
  const colour = isError ? 'failed' : kind === 'server' || kind === 'client' ? kind : 'other'
  const label = `${name}: starts after ${duration(from - startMs)}, takes ${duration(durationMs)}`
  // Geometry in attributes, because the pages allow no inline style.
  return html`<svg class="bar" role="img" aria-label="${label}">
    ${TICKS.slice(1, -1).map(part => html`<line class="grid" x1="${part * 100}%" x2="${part * 100}%" y1="0" y2="100%" />`)}
    <rect
      class="${colour}"
      x="${percent(Math.min(x, 99.6))}"
      width="${percent(Math.max(width, 0.4))}"
      y="20%"
      height="60%"
      rx="2"
    />
  </svg>`
}

function status({ attributes }: ShownSpan): Html | undefined {
  const code = attribute(attributes, 'http.response.status_code')
  return code === undefined ? undefined : html`<strong>${code}</strong>`
}

function inside({ attributes, events, spanId, parentSpanId, scope, ...span }: ShownSpan, startMs: number): Html {
  const ids: ShownAttribute[] = [
    ['starts after', duration(span.startMs - startMs)],
    ['span id', spanId],
    ['parent', parentSpanId ?? 'none'],
    ...(scope === undefined ? [] : [['made by', scope] as const]),
  ]
  return html`${list(ids)}
    <h3>Attributes</h3>
    ${list(attributes)}
    ${events.map(
      event =>
        html`<h3>${event.name}, after ${duration(event.atMs - startMs)}</h3>
          ${list(event.attributes)}`,
    )}`
}

function list(attributes: readonly ShownAttribute[]): Html {
  return html`<dl>
    ${attributes.map(
      ([name, value]) =>
        html`<dt>${name}</dt>
          <dd class="mono">${value}</dd>`,
    )}
  </dl>`
}

function percent(value: number): string {
  return `${Number(value.toFixed(3))}%`
}

export const WATERFALL_STYLE = `
.axis, .span > summary { display: grid; grid-template-columns: minmax(14rem, 24rem) minmax(0, 1fr) 9rem; gap: .8rem; align-items: center; }
.axis { color: var(--muted); font-size: .8rem; padding: 0 0 .2rem; }
.ticks { display: flex; justify-content: space-between; }
.span { border-top: 1px solid var(--line); }
.span > summary { padding: .3rem 0; cursor: pointer; list-style: none; }
.span > summary::-webkit-details-marker { display: none; }
.span > summary:hover, .span[open] > summary { background: var(--raised); }
.name::before { content: "\\25B8"; color: var(--muted); display: inline-block; width: 1em; }
.span[open] .name::before { content: "\\25BE"; }
.name { overflow-wrap: anywhere; }
.name small { color: var(--muted); display: block; padding-left: 1.2em; }
.name .bad-text, .name .warn-text { display: block; padding-left: 1.1em; font-size: .88rem; }
.depth-1 .name { padding-left: 1.2rem; } .depth-2 .name { padding-left: 2.4rem; } .depth-3 .name { padding-left: 3.6rem; }
.depth-4 .name { padding-left: 4.8rem; } .depth-5 .name { padding-left: 6rem; } .depth-6 .name { padding-left: 7.2rem; }
.bar { display: block; width: 100%; height: 1.1rem; background: var(--raised); border-radius: 2px; }
.bar .grid { stroke: var(--line); stroke-width: 1px; }
.bar .server { fill: var(--server); } .bar .client { fill: var(--client); } .bar .other { fill: var(--other); }
.bar .failed { fill: var(--bad); }
.took { text-align: right; }
.inside { padding: .6rem 1rem 1rem 1.2rem; background: var(--raised); }
.inside h3 { font-size: .9rem; margin: .8rem 0 .2rem; } .inside h3:first-child { margin-top: 0; }

@media print { .span:not([open]) > .inside { display: none; } }
@media (max-width: 48rem) {
  .axis { display: none; }
  .span > summary { grid-template-columns: minmax(0, 1fr) fit-content(9rem); }
  .span > summary .bar { grid-column: 1 / -1; grid-row: 2; }
  .inside { padding-left: .6rem; }
}
`
