import { BASE_STYLE } from '../../pages/base-style'
import { html, type Html } from '../../pages/html'
import type { Page } from '../../pages/send-page'
import { styleSheet } from '../../pages/style-sheet'
import { clock, clockOrDate, timeElement } from '../../pages/times'
import type { Incident } from '../record/incident'
import { severityPill, statePill } from './badges'
import { firstLine, severityRank, tell, timeInWords } from './story'
import { INCIDENT_STYLE } from './style'

const STYLE = styleSheet(BASE_STYLE, INCIDENT_STYLE)

/** The stored incidents, in the given order. */
export function listPage(incidents: readonly Incident[], now: number): Page {
  const open = incidents.filter(({ closedAtMs }) => closedAtMs === undefined).length
  return {
    title: open > 0 ? `${open} open · Incidents` : 'Incidents',
    mark: open > 0 ? 'bad' : 'good',
    style: STYLE,
    body: html`<main>
      <h1>Incidents</h1>
      <p class="muted">
        ${open === 0 ? 'No open incidents.' : `${open} open.`} Times are UTC; page created at ${clock(now)}.
      </p>
      ${
        incidents.length === 0
          ? html`<p class="empty">Nothing has happened yet. Incidents appear here when Prometheus fires an alert.</p>`
          : html`<ul class="incidents">
              ${bySeverity(incidents, now).map(incident => listItem(incident, now))}
            </ul>`
      }
    </main>`,
  }
}

/** Open incidents by severity, then the others in the given order. */
function bySeverity(incidents: readonly Incident[], now: number): Incident[] {
  const ranks = new Map(
    incidents.map(incident => [
      incident,
      incident.closedAtMs === undefined ? severityRank(tell(incident, now).severity) : Infinity,
    ]),
  )
  return incidents.toSorted((a, b) => compareRanks(ranks.get(a) ?? 0, ranks.get(b) ?? 0))
}

/** Compares two ranks; a subtraction would give NaN for two infinite ones. */
function compareRanks(a: number, b: number): number {
  return a === b ? 0 : a - b
}

function listItem(incident: Incident, now: number): Html {
  const story = tell(incident, now)
  const { isOpen, sinceMs, untilMs } = story
  const line = firstLine(story)
  const count = incident.alerts.length
  return html`<li class="${isOpen ? 'open' : 'over'}">
    <p>
      ${statePill(isOpen)}
      ${severityPill(story.severity)}${incident.acknowledged && html` <span class="muted small">acknowledged by ${incident.acknowledged.by}</span>`}
    </p>
    <h2><a href="incidents/${incident.id}">${incident.title}</a></h2>
    ${line !== '' && html`<p>${line}</p>`}
    <p class="muted small">
      ${timeElement(sinceMs, timeInWords(story, now))}${untilMs !== undefined && `, resolved ${clockOrDate(untilMs, now)}`}
      · ${incident.cause} · ${count} ${count === 1 ? 'alert' : 'alerts'}
    </p>
  </li>`
}

/** The page for an unknown address. */
export function notFoundPage(what: string): Page {
  return {
    title: 'Not found',
    style: STYLE,
    body: html`<main>
      <h1>Not found</h1>
      <p class="empty">${what}</p>
      <p><a href="/incidents">All incidents</a></p>
    </main>`,
  }
}
