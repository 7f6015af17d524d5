import { BASE_STYLE } from '../../page/base-style'
import { html, type Html } from '../../page/html'
import { safeUrl } from '../../page/safe-url'
import type { Page } from '../../page/send-page'
import { styleSheet } from '../../page/style-sheet'
import { clock, clockOrDate, lasted, timeElement, duration } from '../../page/times'
import { waterfall, WATERFALL_STYLE } from '../../page/waterfall'
import type { ProvingTrace, Signature } from '../evidence/evidence'
import { placeOf, saidOf } from '../evidence/signatures'
import type { Incident, IncidentAlert } from '../record/incident'
import { CHART_STYLE, chartLegend, curveChart, type Chart, type Dot, type Mark } from './curve-chart'
import { curveRange, type AlertCurve } from './curves'
import { linksOf, runbookPath, traceUrl, type Link, type Places } from './links'
import { toShownSpan } from './shown-spans'
import { nameOf, type Story } from './story'
import { INCIDENT_STYLE } from './style'

const STYLE = styleSheet(BASE_STYLE, WATERFALL_STYLE, CHART_STYLE, INCIDENT_STYLE)

export interface IncidentView {
  readonly incident: Incident
  readonly story: Story
  readonly curves: readonly AlertCurve[]
  readonly places: Places
  /** When the page is made. */
  readonly now: number
}

/** Everything that is known of an incident, the most pressing first. */
export function incidentPage(view: IncidentView): Page {
  const { incident, story } = view
  return {
    title: `${story.isOpen ? 'Firing' : 'Resolved'}: ${incident.title}`,
    mark: story.isOpen ? 'bad' : 'good',
    style: STYLE,
    body: html`<main>
      <nav class="small"><a href="../incidents">All incidents</a></nav>
      ${heading(view)} ${curveSection(view)} ${signatureSection(view)} ${traceSection(view)} ${timelineSection(story)}
      ${alertSection(view)} ${missingSection(view)}
      <footer class="muted small">
        <p>
          Times are UTC; this page was made at ${clock(view.now)}. Incident <code>${incident.id}</code>, also
          <a href="?format=json">as JSON</a>.
        </p>
      </footer>
    </main>`,
  }
}

export function statePill(isOpen: boolean): Html {
  return isOpen ? html`<span class="pill bad">FIRING</span>` : html`<span class="pill good">RESOLVED</span>`
}

export function severityPill(severity: string): Html {
  const kind = severity === 'critical' ? ' bad' : severity === 'warning' ? ' warn' : ''
  return html`<span class="pill${kind}">${severity}</span>`
}

function heading(view: IncidentView): Html {
  const { incident, story } = view
  return html`<header class="heading ${story.isOpen ? 'open' : 'over'}">
    <p>${statePill(story.isOpen)} ${severityPill(story.severity)}</p>
    <h1>${incident.title}</h1>
    <p class="lead">${story.what}</p>
    ${story.why !== '' && html`<p class="lead">${story.why}</p>`}
    ${story.main && linkList(linksOf(story.main, curveRange(incident, story.sinceMs, view.now), view.places))}
  </header>`
}

function linkList(links: readonly Link[]): Html | undefined {
  if (links.length === 0) return undefined
  return html`<ul class="links">
    ${links.map(({ name, href }) => html`<li><a href="${href}">${name}</a></li>`)}
  </ul>`
}

function curveSection(view: IncidentView): Html | undefined {
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

function signatureSection({ story: { signatures, countedUntilMs }, now }: IncidentView): Html | undefined {
  if (signatures.length === 0) return undefined
  return html`<section aria-labelledby="signatures">
    <h2 id="signatures">How it fails</h2>
    <table class="signatures">
      <thead>
        <tr>
          <th scope="col">Share of failures</th>
          <th scope="col">What happens</th>
        </tr>
      </thead>
      <tbody>
        ${signatures.map(signatureRow)}
      </tbody>
    </table>
    ${
      countedUntilMs !== undefined &&
      html`<p class="muted small">
        Counted until ${clockOrDate(countedUntilMs, now)}, with the evidence of the alert.
      </p>`
    }
  </section>`
}

function signatureRow(signature: Signature): Html {
  const { count, total, route, message, reason } = signature
  const share = total > 0 ? Math.min(100, (count / total) * 100) : 0
  return html`<tr>
    <td>
      <strong>${inPercent(share)}</strong> <span class="muted small">${count} of ${total}</span>
      <svg class="share-bar" width="100%" height="10" aria-hidden="true">
        <rect class="track" width="100%" height="10" rx="3" />
        <rect class="share" width="${share.toFixed(1)}%" height="10" rx="3" />
      </svg>
    </td>
    <th scope="row">
      ${placeOf(signature)} <span class="bad-text">${saidOf(signature)}</span>
      <p class="muted small">
        ${route === '' ? 'no route' : html`route <code>${route}</code>`} · reason <code>${reason}</code>
      </p>
      ${message !== undefined && html`<p class="message mono">${message}</p>`}
    </th>
  </tr>`
}

/** Traces that are seen at once; the others are one tap away. */
const MAX_TRACES = 8

function traceSection({ story, places }: IncidentView): Html | undefined {
  const { traces } = story
  if (traces.length === 0) return undefined
  const first = traces.find(({ spans }) => spans.length > 0)
  return html`<section aria-labelledby="traces">
    <h2 id="traces">Requests that prove it</h2>
    ${traceList(traces.slice(0, MAX_TRACES), first, places)}
    ${
      traces.length > MAX_TRACES &&
      html`<details>
        <summary>${traces.length - MAX_TRACES} more, until ${clock(traces.at(-1)?.timeMs ?? 0)}</summary>
        ${traceList(traces.slice(MAX_TRACES), first, places)}
      </details>`
    }
  </section>`
}

/** What is there is never 0 %, and all but a few is not everything. */
function inPercent(share: number): string {
  if (share > 0 && share < 1) return '< 1 %'
  return share > 99 && share < 100 ? '> 99 %' : `${Math.round(share)} %`
}

function traceList(traces: readonly ProvingTrace[], first: ProvingTrace | undefined, places: Places): Html {
  return html`<ol class="traces">
    ${traces.map(trace => traceItem(trace, trace === first, places))}
  </ol>`
}

function traceItem(trace: ProvingTrace, isOpen: boolean, places: Places): Html {
  const href = traceUrl(trace, places)
  return html`<li>
    <details ${isOpen ? OPEN : undefined}>
      <summary>
        ${timeElement(trace.timeMs)} <strong>${requestOf(trace)}</strong>
        <span class="muted small">${[trace.reason, duration(trace.durationMs)].filter(Boolean).join(' · ')}</span>
      </summary>
      <p class="small" id="trace-${trace.traceId}">
        Trace <code>${trace.traceId}</code>${
          href !== undefined && html` · <a href="${href}">open it in ${trace.source}</a>`
        }
      </p>
      ${
        trace.spans.length > 0
          ? waterfall(trace.spans.map(toShownSpan))
          : html`<p class="note small">Known by its exemplar only: nobody had the trace when it was asked for.</p>`
      }
    </details>
  </li>`
}

const OPEN = html`open`

function requestOf({ method, path, route, status, reason }: ProvingTrace): string {
  const request = [method, path ?? route].filter(part => part !== undefined).join(' ') || 'a request'
  return `${request} → ${status ?? reason ?? 'no answer'}`
}

function timelineSection({ timeline }: Story): Html | undefined {
  if (timeline.length === 0) return undefined
  return html`<section aria-labelledby="timeline">
    <h2 id="timeline">What happened when</h2>
    <ol class="timeline">
      ${timeline.map(({ timeMs, kind, what }) => html`<li class="${kind}">${timeElement(timeMs)} <span>${what}</span></li>`)}
    </ol>
  </section>`
}

function alertSection(view: IncidentView): Html {
  const { incident } = view
  const firing = incident.alerts.filter(({ endsAtMs }) => endsAtMs === undefined).length
  return html`<section aria-labelledby="alerts">
    <h2 id="alerts">Alerts <span class="muted">· ${incident.alerts.length}, ${firing} firing</span></h2>
    <ul class="alerts">
      ${incident.alerts.map(alert => alertItem(alert, view))}
    </ul>
  </section>`
}

/** Characters of an annotation: its author's own sentences are far shorter. */
const MAX_TEXT = 1_000

function alertItem(alert: IncidentAlert, { incident, story, now, places }: IncidentView): Html {
  const { labels, annotations, startsAtMs, endsAtMs } = alert
  const runbook = runbookPath(alert, places)
  return html`<li>
    <p>
      ${statePill(endsAtMs === undefined)} ${severityPill(labels['severity'] ?? 'none')}
      <strong>${nameOf(alert)}</strong>
    </p>
    <p>${(annotations['description'] ?? annotations['summary'] ?? '').slice(0, MAX_TEXT)}</p>
    <p class="muted small">
      fired
      ${clockOrDate(startsAtMs, now)}${
        endsAtMs === undefined ? '' : `, resolved ${clockOrDate(endsAtMs, now)} after ${lasted(endsAtMs - startsAtMs)}`
      }${runbook !== undefined && html` · runbook <code>${runbook.slice(0, MAX_TEXT)}</code>`}
    </p>
    ${alert !== story.main && linkList(linksOf(alert, curveRange(incident, story.sinceMs, now), places))}
    <details class="small">
      <summary class="muted">labels</summary>
      <ul class="labels">
        ${Object.entries(labels).map(([name, value]) => html`<li><code>${name}="${value}"</code></li>`)}
      </ul>
    </details>
  </li>`
}

/** The evidence of an alert is there within seconds; what is still without then stays without. */
const GATHERING_MS = 10_000

function missingSection({ story, incident, now }: IncidentView): Html | undefined {
  const without = incident.alerts.filter(({ evidence }) => evidence === undefined)
  const lines = [
    ...story.missing,
    ...without.map(alert =>
      now - incident.openedAtMs < GATHERING_MS
        ? `The evidence of ${nameOf(alert)} is being gathered; load this page again.`
        : `No evidence was gathered for ${nameOf(alert)}.`,
    ),
  ]
  if (lines.length === 0) return undefined
  return html`<section aria-labelledby="missing">
    <h2 id="missing">What could not be found out</h2>
    <ul class="missing">
      ${lines.map(line => html`<li>${line}</li>`)}
    </ul>
  </section>`
}
