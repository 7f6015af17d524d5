import { html, type Html } from '../../pages/html'
import { duration } from '../../pages/times'
import { waterfall } from '../../pages/waterfall'
import { putBeside, type Step } from '../evidence/beside'
import type { ProvingTrace } from '../evidence/evidence'
import type { TraceSpan } from '../evidence/otlp-trace'
import type { IncidentView } from './incident-view'
import { toShownSpan } from './shown-spans'
import { requestOf } from './trace-section'

/** Maximum steps in the table; the waterfalls below show all. */
const MAX_STEPS = 40

const DIFFERENCE_TEXTS: Readonly<Record<NonNullable<Step['difference']>, string>> = {
  missing: 'missing in the failing one',
  additional: 'in the failing one only',
  failed: 'failed',
  longer: 'longer',
  shorter: 'shorter',
}

/** Compares a failing request with a good one of the same route, span by span. */
export function besideSection({ incident }: IncidentView): Html | undefined {
  const pair = incident.alerts.map(({ evidence }) => pairOf(evidence?.traces, evidence?.goodTrace)).find(Boolean)
  if (pair === undefined) return undefined
  const [failing, good] = pair
  return html`<section aria-labelledby="beside">
    <h2 id="beside">A failing request beside a good one</h2>
    <p class="small">${requestOf(failing)} · beside ${requestOf(good)}, both by ${good.route ?? 'the same route'}</p>
    <table class="beside">
      <thead>
        <tr>
          <th scope="col">Step</th>
          <th scope="col">Failing</th>
          <th scope="col">Good</th>
          <th scope="col">Difference</th>
        </tr>
      </thead>
      <tbody>
        ${putBeside(failing.spans, good.spans).slice(0, MAX_STEPS).map(stepRow)}
      </tbody>
    </table>
    <details>
      <summary class="muted small">both as waterfalls</summary>
      <h3>Failing</h3>
      ${waterfall(failing.spans.map(toShownSpan))}
      <h3>Good</h3>
      ${waterfall(good.spans.map(toShownSpan))}
    </details>
  </section>`
}

type Pair = readonly [ProvingTrace, ProvingTrace]

function pairOf(traces: readonly ProvingTrace[] | undefined, good: ProvingTrace | undefined): Pair | undefined {
  if (good === undefined || good.spans.length === 0) return undefined
  const opened = (traces ?? []).filter(({ spans, route }) => spans.length > 0 && route === good.route)
  const failing = opened.find(({ method }) => method === good.method) ?? opened[0]
  return failing && [failing, good]
}

function stepRow({ service, name, failing, good, difference }: Step): Html {
  return html`<tr>
    <th scope="row">${name} <span class="muted small">${service}</span></th>
    <td>${took(failing)}</td>
    <td>${took(good)}</td>
    <td>${difference !== undefined && html`<span class="bad-text">${DIFFERENCE_TEXTS[difference]}</span>`}</td>
  </tr>`
}

function took(span: TraceSpan | undefined): string {
  return span === undefined ? '–' : duration(span.durationMs)
}
