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

/** What a reader wants to see; empty values: everything. */
export interface ListFilter {
  readonly state: string
  readonly severity: string
  /** Part of the title, the cause or the first line. */
  readonly text: string
}

const STATES = ['firing', 'resolved']
const SEVERITIES = ['critical', 'warning', 'info']

/** The stored incidents by state and severity; resolved ones that failed alike are one entry. */
export function listPage(all: readonly Incident[], now: number, filter: ListFilter = EVERYTHING): Page {
  const open = all.filter(({ closedAtMs }) => closedAtMs === undefined).length
  const incidents = all.filter(incident => isWanted(incident, filter, now))
  return {
    title: open > 0 ? `${open} open · Incidents` : 'Incidents',
    mark: open > 0 ? 'bad' : 'good',
    style: STYLE,
    body: html`<main>
      <nav class="small"><a href="fleet">Fleet</a></nav>
      <h1>Incidents</h1>
      <p class="muted">
        ${open === 0 ? 'No open incidents.' : `${open} open.`} Times are UTC; page created at ${clock(now)}.
      </p>
      ${all.length > 0 && filterForm(filter)}
      ${
        all.length === 0
          ? html`<p class="empty">Nothing has happened yet. Incidents appear here when Prometheus fires an alert.</p>`
          : incidents.length === 0
            ? html`<p class="empty">None of the ${all.length} incidents matches. <a href="/incidents">Show all</a></p>`
            : html`<ul class="incidents">
                ${groupsOf(bySeverity(incidents, now)).map(group => listItem(group, now))}
              </ul>`
      }
    </main>`,
  }
}

const EVERYTHING: ListFilter = { state: '', severity: '', text: '' }

function isWanted(incident: Incident, { state, severity, text }: ListFilter, now: number): boolean {
  const story = tell(incident, now)
  const words = `${incident.title} ${incident.cause} ${firstLine(story)}`.toLowerCase()
  return (
    (state === '' || (state === 'firing') === story.isOpen) &&
    (severity === '' || severity === story.severity) &&
    words.includes(text.toLowerCase())
  )
}

function filterForm({ state, severity, text }: ListFilter): Html {
  return html`<form method="get" action="/incidents">
    ${select('state', STATES, state)} ${select('severity', SEVERITIES, severity)}
    <label>with <input name="text" value="${text}" /></label>
    <button>Filter</button>
  </form>`
}

function select(name: string, values: readonly string[], chosen: string): Html {
  return html`<label
    >${name}
    <select name="${name}">
      <option value="">any</option>
      ${values.map(value => (value === chosen ? html`<option selected>${value}</option>` : html`<option>${value}</option>`))}
    </select></label
  >`
}

/** Open incidents alone; resolved ones with the same title together, where the newest of them stands. */
function groupsOf(incidents: readonly Incident[]): Incident[][] {
  const key = ({ id, title, closedAtMs }: Incident): string => (closedAtMs === undefined ? id : `resolved ${title}`)
  return [...Map.groupBy(incidents, key).values()]
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

function listItem([incident, ...earlier]: readonly Incident[], now: number): Html | undefined {
  if (incident === undefined) return undefined
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
    ${earlier.length > 0 && earlierList(earlier, now)}
  </li>`
}

/** Earlier incidents of the same kind. */
function earlierList(earlier: readonly Incident[], now: number): Html {
  return html`<details class="small">
    <summary>${earlier.length} earlier</summary>
    <ul>
      ${earlier.map(
        incident => html`<li><a href="incidents/${incident.id}">${timeInWords(tell(incident, now), now)}</a></li>`,
      )}
    </ul>
  </details>`
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
