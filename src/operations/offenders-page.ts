import { html, type Html } from '../pages/html'
import type { OffenderList } from './sources'

/** Lists the clients that exceed limits, by policy, the most frequent first. */
export function offendersPage(lists: readonly OffenderList[]): Html {
  const hit = lists.filter(({ limited }) => limited > 0).toSorted((a, b) => b.limited - a.limited)
  const rest = lists.length - hit.length
  return html`<h1>Limited clients</h1>
    ${hit.map(section)} ${hit.length === 0 && html`<p>No client has exceeded a limit since this replica started.</p>`}
    <p class="muted">
      ${rest > 0 && `${rest} of ${lists.length} policies were not exceeded. `}The clients that exceeded a limit most
      often since this replica started, dry runs included. With <code>offenders: clear</code> a policy shows them in
      clear, otherwise as digests, which are the same on every replica.
    </p>`
}

function section({ route, policy, httpRoute, limited, offenders }: OffenderList): Html {
  return html`<section aria-label="${route}, ${policy}">
    <h2>${route}, ${policy}</h2>
    <p class="facts">
      <code>${httpRoute}</code>
      <span>exceeded ${limited} times</span>
      <a href="/traces?${new URLSearchParams({ reason: 'limited', route: httpRoute }).toString()}">kept traces</a>
    </p>
    <table>
      <thead>
        <tr>
          <th scope="col">Client</th>
          <th scope="col" class="number">Times over the limit</th>
          <th scope="col" class="number">Share</th>
        </tr>
      </thead>
      <tbody>
        ${offenders.map(
          ({ client, count, error }) =>
            html`<tr>
              <td class="mono wide" data-label="">${client}</td>
              <td class="number" data-label="times over">${error > 0 ? html`${count - error} to ${count}` : count}</td>
              <td class="number" data-label="share">${Math.round(((count - error) / limited) * 100)} %</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`
}
