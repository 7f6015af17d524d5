import { html, type Html } from '../../pages/html'
import { differencesOf } from './differences'
import type { IncidentView } from './incident-view'

/** What distinguishes failing from good requests; the same statement of several alerts is shown once. */
export function comparisonSection({ incident }: IncidentView): Html | undefined {
  if (incident.alerts.every(({ evidence }) => evidence?.comparison === undefined)) return undefined
  const lines = differencesOf(incident.alerts)
  return html`<section aria-labelledby="comparison">
    <h2 id="comparison">What is different</h2>
    ${
      lines.length === 0
        ? html`<p class="muted">Nothing sets the failing requests apart from the good ones of the same time.</p>`
        : html`<ul>
            ${lines.map(line => html`<li>${line}</li>`)}
          </ul>`
    }
    <p class="muted small">
      Compared with a sample of the good requests; a value is named only where chance is no explanation.
    </p>
  </section>`
}
