import { html, type Html } from '../../pages/html'
import { clockOrDate, lasted } from '../../pages/times'
import type { IncidentAlert } from '../record/incident'
import { linkList, severityPill, statePill } from './badges'
import { curveRange } from './curves'
import type { IncidentView } from './incident-view'
import { linksOf, runbookPath } from './links'
import { byWeight, nameOf } from './story'

export function alertSection(view: IncidentView): Html {
  const { incident } = view
  const firing = incident.alerts.filter(({ endsAtMs }) => endsAtMs === undefined).length
  return html`<section aria-labelledby="alerts">
    <h2 id="alerts">Alerts <span class="muted">· ${incident.alerts.length}, ${firing} firing</span></h2>
    <ul class="alerts">
      ${incident.alerts.toSorted(byWeight).map(alert => alertItem(alert, view))}
    </ul>
  </section>`
}

/** Maximum characters of an annotation; those of the shipped rules are far shorter. */
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
