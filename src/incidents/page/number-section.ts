import { html, type Html } from '../../pages/html'
import { planCurve } from '../evidence/curve'
import { loadInWords } from '../evidence/load'
import { budgetInWords } from '../evidence/budget'
import { statusesInWords } from '../evidence/statuses'
import type { IncidentAlert } from '../record/incident'
import type { IncidentView } from './incident-view'

/** Statuses of the requests and the load: one row per selection, from the alert with the most requests. */
export function numberSection({ incident }: IncidentView): Html | undefined {
  const rows = new Map<string, { readonly seen: number; readonly text: string }>()
  for (const alert of incident.alerts) {
    const found = numbersOf(alert)
    const what = planCurve(alert)?.what ?? ''
    if (found !== undefined && found.seen >= (rows.get(what)?.seen ?? 0)) rows.set(what, found)
  }
  if (rows.size === 0) return undefined
  return html`<section aria-labelledby="numbers">
    <h2 id="numbers">Numbers</h2>
    <table>
      <thead>
        <tr>
          <th scope="col">Measure</th>
          <th scope="col">Value</th>
        </tr>
      </thead>
      <tbody>
        ${[...rows].map(
          ([what, { text }]) =>
            html`<tr>
              <th scope="row">${what}</th>
              <td>${text}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`
}

function numbersOf({ evidence }: IncidentAlert): { readonly seen: number; readonly text: string } | undefined {
  const { statuses = [], load, budget } = evidence ?? {}
  const seen = statuses.reduce((sum, { count }) => sum + count, 0)
  if (evidence !== undefined && statuses.length > 0) {
    const lastedMs = evidence.window.endMs - (evidence.firstBadMs ?? evidence.window.startMs)
    const spent = budget === undefined ? '' : `; ${budgetInWords(budget, lastedMs)}`
    return { seen, text: `status ${statusesInWords(statuses)}${spent}` }
  }
  const text = load === undefined ? '' : loadInWords(load)
  return text === '' ? undefined : { seen, text }
}
