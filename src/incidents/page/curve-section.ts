import { html, type Html } from '../../pages/html'
import { safeUrl } from '../../pages/safe-url'
import { clock, duration } from '../../pages/times'
import type { IncidentAlert } from '../record/incident'
import type { Chart, Dot, Mark } from './chart'
import { chartLegend, curveChart } from './curve-chart'
import type { AlertCurve } from './curves'
import type { IncidentView } from './incident-view'
import { nameOf } from './story'
import { requestOf } from './trace-section'

export function curveSection(view: IncidentView): Html | undefined {
  if (view.curves.length === 0) return undefined
  return html`<section aria-labelledby="curve">
    <h2 id="curve">Around the start</h2>
    ${view.curves.map((found, index) => figure(found, index, view))}
  </section>`
}

function figure({ curve, note, alerts, exemplars }: AlertCurve, index: number, view: IncidentView): Html {
  if (curve === undefined) {
    return html`<p>No curve for ${alerts.map(nameOf).join(', ')}: ${note}, and none was recorded.</p>`
  }
  const chart: Chart = {
    id: `curve-${index}`,
    curve,
    dots: dotsOf({ alerts, exemplars }, view),
    marks: marksOf(alerts),
    changes: view.story.timeline.filter(({ kind }) => kind === 'change').map(({ timeMs }) => timeMs),
  }
  const unit = curve.unit === 'per second' ? ', per second' : ''
  return html`<figure>
    <h3 class="small">${curve.what}${unit}</h3>
    ${curveChart(chart)}
    <figcaption>
      ${chartLegend(chart)}
      ${note !== undefined && html`<p class="note small">${note}: this is the curve as it was recorded with the alert.</p>`}
    </figcaption>
  </figure>`
}

function dotsOf({ alerts, exemplars }: Pick<AlertCurve, 'alerts' | 'exemplars'>, { story }: IncidentView): Dot[] {
  const own = new Set(alerts.flatMap(({ evidence }) => evidence?.traces ?? []).map(({ traceId }) => traceId))
  const recorded = story.traces
    .filter(({ traceId }) => own.has(traceId))
    .map(trace => ({
      timeMs: trace.timeMs,
      durationMs: trace.durationMs,
      href: `#trace-${trace.traceId}`,
      label: `${clock(trace.timeMs)} ${requestOf(trace)}, ${duration(trace.durationMs)}`,
    }))
  const others = exemplars
    .filter(({ traceId }) => !own.has(traceId))
    .map(({ timeMs, traceId, value, replicaUrl }) => ({
      timeMs,
      durationMs: value * 1_000,
      href: replicaUrl === undefined ? undefined : safeUrl(`${replicaUrl}/traces/${traceId}`),
      label: `${clock(timeMs)} trace ${traceId}, ${duration(value * 1_000)}`,
    }))
  return [...others, ...recorded]
}

function marksOf(alerts: readonly IncidentAlert[]): Mark[] {
  const bad = Math.min(...alerts.map(({ evidence }) => evidence?.firstBadMs ?? Infinity))
  const fired = Math.min(...alerts.map(({ startsAtMs }) => startsAtMs))
  const over = Math.max(...alerts.map(({ endsAtMs }) => endsAtMs ?? Infinity))
  const marks: Mark[] = [
    { timeMs: bad, kind: 'bad', label: 'first failure' },
    { timeMs: fired, kind: 'fired', label: 'alert' },
    { timeMs: over, kind: 'resolved', label: 'resolved' },
  ]
  return marks.filter(({ timeMs }) => Number.isFinite(timeMs))
}
