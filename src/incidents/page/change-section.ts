import { html, type Html } from '../../pages/html'
import { clockOrDate, lasted, timeElement } from '../../pages/times'
import type { IncidentView } from './incident-view'
import { distinctChanges } from './story'

/** Maximum changes in the section; the timeline has all. */
const MAX_CHANGES = 8

/** What changed near the first failure, the nearest first. Nearness is no proof, so the section says only that. */
export function changeSection({ incident, story, now }: IncidentView): Html | undefined {
  const distance = ({ timeMs }: { readonly timeMs: number }): number => Math.abs(timeMs - story.sinceMs)
  const changes = distinctChanges(incident.alerts)
    .toSorted((a, b) => distance(a) - distance(b))
    .slice(0, MAX_CHANGES)
  if (changes.length === 0) return undefined
  return html`<section aria-labelledby="changes">
    <h2 id="changes">What changed</h2>
    <ul class="changes">
      ${changes.map(
        change =>
          html`<li>
            <strong>${lasted(distance(change))} ${change.timeMs <= story.sinceMs ? 'before' : 'after'}</strong>
            ${change.what}
            <span class="muted small">${timeElement(change.timeMs, clockOrDate(change.timeMs, now))}</span>
          </li>`,
      )}
    </ul>
    <p class="muted small">Nearest to the first failure first. A change shortly before need not be the cause.</p>
  </section>`
}
