import { html, type Html } from '../../pages/html'
import type { Link } from './links'

export function statePill(isOpen: boolean): Html {
  return isOpen ? html`<span class="pill bad">FIRING</span>` : html`<span class="pill good">RESOLVED</span>`
}

export function severityPill(severity: string): Html {
  const kind = severity === 'critical' ? ' bad' : severity === 'warning' ? ' warn' : ''
  return html`<span class="pill${kind}">${severity}</span>`
}

export function linkList(links: readonly Link[]): Html | undefined {
  if (links.length === 0) return undefined
  return html`<ul class="links">
    ${links.map(({ name, href }) => html`<li><a href="${href}">${name}</a></li>`)}
  </ul>`
}
