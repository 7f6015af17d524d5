import { html, type Html } from '../../pages/html'
import { clockOrDate } from '../../pages/times'
import type { Signature } from '../evidence/evidence'
import { placeOf, saidOf } from '../evidence/signatures'
import type { IncidentView } from './incident-view'

export function signatureSection({ story: { signatures, countedUntilMs }, now }: IncidentView): Html | undefined {
  if (signatures.length === 0) return undefined
  return html`<section aria-labelledby="signatures">
    <h2 id="signatures">Failures by cause</h2>
    <table class="signatures">
      <thead>
        <tr>
          <th scope="col">Share of failures</th>
          <th scope="col">Failure</th>
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

/** Rounds to whole percent, but a share above zero is never 0 % and one below all is never 100 %. */
function inPercent(share: number): string {
  if (share > 0 && share < 1) return '< 1 %'
  return share > 99 && share < 100 ? '> 99 %' : `${Math.round(share)} %`
}
