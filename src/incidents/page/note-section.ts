import { html, type Html } from '../../pages/html'
import { clockOrDate, timeElement } from '../../pages/times'
import { MAX_NOTE_CHARACTERS, MAX_NOTES } from '../record/notes'
import type { IncidentView } from './incident-view'

/** Who works on the incident, notes, and the forms to add to both; the forms need no script. */
export function noteSection({ incident, formToken, now }: IncidentView): Html {
  const { acknowledged, notes = [] } = incident
  const hidden = html`<input type="hidden" name="token" value="${formToken}" />`
  return html`<section aria-labelledby="notes">
    <h2 id="notes">Notes</h2>
    ${
      acknowledged === undefined
        ? html`<form method="post" action="${incident.id}/acknowledge">${hidden}<button>Acknowledge</button></form>`
        : html`<p>
            Acknowledged by <strong>${acknowledged.by}</strong> at
            ${timeElement(acknowledged.timeMs, clockOrDate(acknowledged.timeMs, now))}
          </p>`
    }
    ${
      notes.length > 0 &&
      html`<ol class="notes">
        ${notes.map(
          ({ timeMs, by, text }) =>
            html`<li>
              <p class="muted small">${timeElement(timeMs, clockOrDate(timeMs, now))} ${by}</p>
              <p class="text">${text}</p>
            </li>`,
        )}
      </ol>`
    }
    ${
      notes.length < MAX_NOTES
        ? html`<form method="post" action="${incident.id}/notes">
            ${hidden}<label
              >Add a note <textarea name="text" rows="3" maxlength="${MAX_NOTE_CHARACTERS}" required></textarea></label
            ><button>Save</button>
          </form>`
        : html`<p class="muted small">An incident has at most ${MAX_NOTES} notes.</p>`
    }
  </section>`
}
