import { html, type Html } from './html'
import { took } from './times'

/** A span as a page shows it. */
export interface WaterfallSpan {
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly service: string
  readonly name: string
  readonly kind: string
  readonly startMs: number
  readonly durationMs: number
  readonly isError: boolean
  readonly attributes: Readonly<Record<string, string>>
  /** Message of the first recorded exception. */
  readonly exception: string | undefined
}

/** Rows of one waterfall: more are nothing a person reads. */
const MAX_ROWS = 64
/** Deeper ones are indented no further: on a phone there would be nothing left of them. */
const MAX_DEPTH = 6
/** Of the whole width; shorter calls would not be seen at all. */
const MIN_BAR_PERCENT = 0.5

/** The spans of a trace under each other, each with its place in time. Needs no script: bars are SVG. */
export function waterfall(spans: readonly WaterfallSpan[]): Html {
  const rows = inOrderOfCalls(spans)
  const startMs = Math.min(...spans.map(span => span.startMs))
  const totalMs = Math.max(...spans.map(span => span.startMs + span.durationMs)) - startMs
  if (rows.length === 0) return html`<p class="muted">The trace has no spans.</p>`
  return html`<p class="waterfall-scale muted small"><span>0</span> <span>${took(totalMs)}</span></p>
    <ol class="waterfall">
      ${rows.slice(0, MAX_ROWS).map(row => toRow(row, startMs, totalMs))}
    </ol>
    ${rows.length > MAX_ROWS && html`<p class="muted small">and ${rows.length - MAX_ROWS} more spans</p>`}`
}

interface Row {
  readonly span: WaterfallSpan
  readonly depth: number
}

/** Each span before those it called, as they began. A span whose caller is not there stands at the left. */
function inOrderOfCalls(spans: readonly WaterfallSpan[]): Row[] {
  const sorted = [...spans].sort((a, b) => a.startMs - b.startMs)
  const ids = new Set(sorted.map(({ spanId }) => spanId))
  const children = Map.groupBy(sorted, ({ parentSpanId }) =>
    parentSpanId !== undefined && ids.has(parentSpanId) ? parentSpanId : undefined,
  )
  const rows: Row[] = []
  const seen = new Set<WaterfallSpan>()
  const visit = (span: WaterfallSpan, depth: number): void => {
    if (seen.has(span)) return // a span that is its own ancestor comes from a broken or hostile client
    seen.add(span)
    rows.push({ span, depth: Math.min(depth, MAX_DEPTH) })
    for (const child of children.get(span.spanId) ?? []) visit(child, depth + 1)
  }
  for (const root of children.get(undefined) ?? []) visit(root, 0)
  for (const left of sorted) visit(left, 0)
  return rows
}

function toRow({ span, depth }: Row, startMs: number, totalMs: number): Html {
  const from = totalMs > 0 ? ((span.startMs - startMs) / totalMs) * 100 : 0
  const width = totalMs > 0 ? (span.durationMs / totalMs) * 100 : 100
  const x = Math.min(from, 100 - MIN_BAR_PERCENT)
  return html`<li class="depth-${depth}${span.isError && ' failed'}">
    <div class="what">
      <strong>${span.name}</strong>
      <span class="muted small">${facts(span).join(' · ')}</span>
      ${span.isError && html`<p class="bad-text small">failed${whyFailed(span)}</p>`}
    </div>
    <svg class="bar" width="100%" height="12" aria-hidden="true">
      <rect class="track" width="100%" height="12" rx="3" />
      <rect
        class="took"
        x="${x.toFixed(2)}%"
        width="${Math.max(MIN_BAR_PERCENT, width).toFixed(2)}%"
        height="12"
        rx="3"
      />
    </svg>
    <span class="took small">${took(span.durationMs)}</span>
    ${attributeList(span)}
  </li>`
}

function facts({ service, kind, attributes }: WaterfallSpan): string[] {
  const status = attributes['http.response.status_code']
  const address = attributes['server.address']
  const port = attributes['server.port']
  const target = address === undefined ? undefined : port === undefined ? address : `${address}:${port}`
  const called = kind === 'client' && target !== undefined ? `to ${target}` : undefined
  return [service, kind === 'other' ? undefined : kind, called, status].filter(fact => fact !== undefined)
}

function whyFailed({ exception, attributes }: WaterfallSpan): string {
  const why = exception ?? attributes['error.type']
  return why === undefined || why === '' ? '' : `: ${why}`
}

/** Attributes shown of one span. */
const MAX_ATTRIBUTES = 64
const MAX_VALUE_CHARACTERS = 500

function attributeList({ attributes }: WaterfallSpan): Html | undefined {
  const entries = Object.entries(attributes).slice(0, MAX_ATTRIBUTES)
  if (entries.length === 0) return undefined
  return html`<details class="attributes small">
    <summary class="muted">attributes</summary>
    <dl>
      ${entries.map(
        ([name, value]) =>
          html`<dt class="mono">${name}</dt>
            <dd>${value.slice(0, MAX_VALUE_CHARACTERS)}</dd>`,
      )}
    </dl>
  </details>`
}

export const WATERFALL_STYLE = `
.waterfall-scale { display: flex; justify-content: space-between; margin: .5rem 5rem 0 40%; padding-left: .75rem; }
.waterfall li {
  display: grid; grid-template-columns: 40% minmax(0, 1fr) 5rem; column-gap: .75rem; align-items: start;
  padding: .4rem 0; border-top: 1px solid var(--line);
}
.waterfall svg.bar { margin-top: .4rem; }
.waterfall .track { fill: var(--raised); }
.waterfall rect.took { fill: var(--calm); }
.waterfall .failed > svg rect.took { fill: var(--bad); }
.waterfall span.took { text-align: right; white-space: nowrap; }
.waterfall .depth-1 .what { padding-left: 1rem; } .waterfall .depth-2 .what { padding-left: 2rem; }
.waterfall .depth-3 .what { padding-left: 3rem; } .waterfall .depth-4 .what { padding-left: 4rem; }
.waterfall .depth-5 .what { padding-left: 5rem; } .waterfall .depth-6 .what { padding-left: 6rem; }
.attributes { grid-column: 1 / -1; }
.attributes dl { display: grid; grid-template-columns: minmax(8rem, 16rem) minmax(0, 1fr); gap: .15rem .75rem; margin: .4rem 0; }
.attributes dd { margin: 0; }
@media (max-width: 40rem) {
  .waterfall-scale { margin-left: 0; margin-right: 0; padding-left: 0; }
  .waterfall li { grid-template-columns: minmax(0, 1fr) auto; }
  .waterfall svg.bar { grid-row: 2; grid-column: 1 / -1; margin-top: .25rem; }
  .waterfall .depth-1 .what { padding-left: .6rem; } .waterfall .depth-2 .what { padding-left: 1.2rem; }
  .waterfall .depth-3 .what { padding-left: 1.8rem; } .waterfall .depth-4 .what { padding-left: 2.4rem; }
  .waterfall .depth-5 .what, .waterfall .depth-6 .what { padding-left: 3rem; }
  .attributes dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  .attributes dd { margin: 0 0 .35rem; }
}
@media print { .attributes:not([open]) { display: none; } }
`
