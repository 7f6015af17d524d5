import { BASE_STYLE } from '../../pages/base-style'
import { CHART_STYLE } from '../../pages/chart-style'
import { html, type Html } from '../../pages/html'
import type { Page } from '../../pages/send-page'
import { styleSheet } from '../../pages/style-sheet'
import { clock, timeElement } from '../../pages/times'
import { WATERFALL_STYLE } from '../../pages/waterfall'
import { alertSection } from './alert-section'
import { linkList, severityPill, statePill } from './badges'
import { besideSection } from './beside-section'
import { changeSection } from './change-section'
import { comparisonSection } from './comparison-section'
import { curveSection } from './curve-section'
import { curveRange } from './curves'
import type { IncidentView } from './incident-view'
import { limitedSection } from './limited-section'
import { linksOf } from './links'
import { noteSection } from './note-section'
import { numberSection } from './number-section'
import { signatureSection } from './signature-section'
import { nameOf, type Story } from './story'
import { CURVE_STYLE, INCIDENT_STYLE } from './style'
import { traceSection } from './trace-section'

const STYLE = styleSheet(BASE_STYLE, WATERFALL_STYLE, CHART_STYLE, CURVE_STYLE, INCIDENT_STYLE)

/** All that is known about an incident, the most important first. */
export function incidentPage(view: IncidentView): Page {
  const { incident, story } = view
  return {
    title: `${story.isOpen ? 'Firing' : 'Resolved'}: ${incident.title}`,
    mark: story.isOpen ? 'bad' : 'good',
    style: STYLE,
    body: html`<main>
      <nav class="small"><a href="../incidents">All incidents</a> · <a href="../fleet">Fleet</a></nav>
      ${heading(view)} ${curveSection(view)} ${signatureSection(view)} ${comparisonSection(view)} ${changeSection(view)}
      ${numberSection(view)} ${limitedSection(view)} ${besideSection(view)} ${traceSection(view)}
      ${timelineSection(story)} ${noteSection(view)} ${alertSection(view)} ${missingSection(view)}
      <footer class="muted small">
        <p>
          Times are UTC; page created at ${clock(view.now)}. Incident <code>${incident.id}</code>, also
          <a href="?format=json">as JSON</a> and as
          <a href="${incident.id}/post-mortem.md">a draft of a post-mortem</a>.
        </p>
      </footer>
    </main>`,
  }
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

function timelineSection({ timeline }: Story): Html | undefined {
  if (timeline.length === 0) return undefined
  return html`<section aria-labelledby="timeline">
    <h2 id="timeline">Timeline</h2>
    <ol class="timeline">
      ${timeline.map(({ timeMs, kind, what }) => html`<li class="${kind}">${timeElement(timeMs)} <span>${what}</span></li>`)}
    </ol>
  </section>`
}

/** Evidence of an alert arrives within this time; without it by then, it is not shown as pending. */
const GATHERING_MS = 10_000

function missingSection({ story, incident, now }: IncidentView): Html | undefined {
  const without = incident.alerts.filter(({ evidence }) => evidence === undefined)
  const lines = [
    ...story.missing,
    ...without.map(alert =>
      now - incident.openedAtMs < GATHERING_MS
        ? `Evidence of ${nameOf(alert)} is being gathered; reload this page.`
        : `No evidence for ${nameOf(alert)}.`,
    ),
  ]
  if (lines.length === 0) return undefined
  return html`<section aria-labelledby="missing">
    <h2 id="missing">Missing evidence</h2>
    <ul class="missing">
      ${lines.map(line => html`<li>${line}</li>`)}
    </ul>
  </section>`
}
