import { html, type Html } from './html'

/** A number with its name and a remark, in a `dl` of class `tiles`. @param kind class of the number */
export function tile(name: string, value: string, more: string, kind: string | false = false): Html {
  return html`<div>
    <dt>${name}</dt>
    <dd class="${kind}">${value}</dd>
    <dd class="muted small">${more}</dd>
  </div>`
}
