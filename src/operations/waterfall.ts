import { html, type Html } from './html'
import { attribute, type ShownAttribute, type ShownSpan } from './otlp-spans'

/** Rows of one page. A trace id that a client uses for everything may have thousands. */
const MAX_ROWS = 500
const DEEPEST_INDENT = 6
const TICKS = [0, 0.25, 0.5, 0.75, 1]

interface Row {
  readonly span: ShownSpan
  readonly depth: number
}

/** The spans of a trace as bars on one time axis, each below its parent; a click opens what else it says. */
export function waterfall(spans: readonly ShownSpan[]): Html {
  const rows = nested(spans)
  const startMs = Math.min(...spans.map(span => span.startMs))
  const totalMs = Math.max(...spans.map(span => span.startMs + span.durationMs)) - startMs
  const left = rows.length - MAX_ROWS
  return html`<section>
    <div class="axis">
      <span></span>
      <span class="ticks">${TICKS.map(part => html`<span>${duration(totalMs * part)}</span>`)}</span>
      <span></span>
    </div>
    ${rows.slice(0, MAX_ROWS).map(row => line(row, startMs, totalMs))}
    ${left > 0 && html`<p class="faint">${left} more spans are in the JSON.</p>`}
  </section>`
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
    children.delete(parent) // each once, whatever two spans say of each other
  }
  add('', 0)
  for (let row = waiting.pop(); row !== undefined; row = waiting.pop()) {
    rows.push(row)
    add(row.span.spanId, row.depth + 1)
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
  if (!isError) return outcome === 'refusal' ? html`<span class="refusal">${reason}</span>` : undefined
  const exceptions = events.map(event => attribute(event.attributes, 'exception.message'))
  const said = [statusMessage, attribute(attributes, 'error.type'), ...exceptions]
  return html`<span class="fault">${said.filter(text => text !== undefined && text !== '').join(' · ')}</span>`
}

function bar({ startMs: from, durationMs, kind, isError, name }: ShownSpan, startMs: number, totalMs: number): Html {
  const x = totalMs === 0 ? 0 : ((from - startMs) / totalMs) * 100
  const width = totalMs === 0 ? 100 : (durationMs / totalMs) * 100
  const colour = isError ? 'failed' : kind === 'server' || kind === 'client' ? kind : 'other'
  const label = `${name}: begins after ${duration(from - startMs)}, takes ${duration(durationMs)}`
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
    ['begins after', duration(span.startMs - startMs)],
    ['span id', spanId],
    ['parent', parentSpanId ?? 'none'],
    ['made by', scope],
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

/** Three digits at the most where that is enough: `0.42 ms`, `17.3 ms`, `2.05 s`, `12 min`. */
export function duration(ms: number): string {
  if (ms >= 120_000) return `${Math.round(ms / 60_000)} min`
  if (ms >= 1_000) return `${digits(ms / 1_000)} s`
  return ms === 0 ? '0' : `${digits(ms)} ms`
}

function digits(value: number): string {
  return String(Number(value.toPrecision(3)))
}

function percent(value: number): string {
  return `${Number(value.toFixed(3))}%`
}
