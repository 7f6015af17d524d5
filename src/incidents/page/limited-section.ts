import { html, type Html } from '../../pages/html'
import type { IncidentView } from './incident-view'

/** The clients that reach a limit, for alerts about limits. Shows the newest count of each client. */
export function limitedSection({ incident }: IncidentView): Html | undefined {
  const counts = new Map<string, number>()
  for (const { evidence } of incident.alerts) {
    for (const { client, count } of evidence?.limitedClients ?? []) counts.set(client, count)
  }
  if (counts.size === 0) return undefined
  const clients = [...counts].sort(([, a], [, b]) => b - a)
  return html`<section aria-labelledby="limited">
    <h2 id="limited">Who is limited</h2>
    <table>
      <thead>
        <tr>
          <th scope="col">Client</th>
          <th scope="col">Times over the limit</th>
        </tr>
      </thead>
      <tbody>
        ${clients.map(
          ([client, count]) =>
            html`<tr>
              <td><code>${client}</code></td>
              <td>${count}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`
}
