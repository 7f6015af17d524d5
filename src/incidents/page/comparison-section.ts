import { html, type Html } from '../../pages/html'
import { differenceLines } from '../evidence/comparison/wording'
import type { IncidentView } from './incident-view'

/** What distinguishes failing from good requests; the same statement of several alerts is shown once. */
export function comparisonSection({ incident }: IncidentView): Html | undefined {
  const compared = incident.alerts.flatMap(({ evidence, labels }) =>
    evidence?.comparison === undefined ? [] : [{ comparison: evidence.comparison, family: labels['family'] }],
  )
  if (compared.length === 0) return undefined
  const lines = new Set(compared.flatMap(({ comparison, family }) => differenceLines(comparison, family)))
  return html`<section aria-labelledby="comparison">
    <h2 id="comparison">What is different</h2>
    ${
      lines.size === 0
        ? html`<p class="muted">Nothing sets the failing requests apart from the good ones of the same time.</p>`
        : html`<ul>
            ${[...lines].map(line => html`<li>${line}</li>`)}
          </ul>`
    }
    <p class="muted small">
      Compared with a sample of the good requests; a value is named only where chance is no explanation.
    </p>
  </section>`
}
