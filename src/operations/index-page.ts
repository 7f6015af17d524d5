import { VERSION } from '../version'
import { html, type Html } from '../page/html'

const LINKS: readonly (readonly [string, string])[] = [
  ['/traces', 'Kept traces, newest first: faults, slow and limited requests, and what was sampled.'],
  ['/traces?outcome=fault', 'Those that failed.'],
  ['/traces?cause=slow', 'Those that were slow.'],
  ['/traces?reason=limited', 'Those that a rate limit refused.'],
  ['/offenders', 'Clients that run into rate limits most often, limit by limit.'],
  ['/metrics', 'What Prometheus scrapes: OpenMetrics where it is preferred, else text, with exemplars that open here.'],
  ['/livez', 'Whether the process runs.'],
  ['/readyz', 'Whether it takes requests, and if not, why.'],
]

/** @param notReady why no requests are taken, if so */
export function indexPage(notReady: string | undefined): Html {
  return html`<h1>myesi-gateway ${VERSION}</h1>
    <p>
      ${
        notReady === undefined
          ? html`<span class="outcome ok">ready</span>`
          : html`<span class="outcome fault">not ready: ${notReady}</span>`
      }
    </p>
    <ul class="entries">
      ${LINKS.map(([path, what]) => html`<li><a href="${path}">${path}</a> <span class="muted">${what}</span></li>`)}
    </ul>
    <p class="muted">
      Programs get JSON from the same addresses; <code>?format=json</code> shows it in a browser, and
      <code>?format=html</code> brings the page back.
    </p>`
}
