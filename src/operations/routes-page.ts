import type { OverloadConfig } from '../config/types'
import { html, type Content, type Html } from '../pages/html'
import { duration } from '../pages/times'
import { answerText, overloadText, textsAbout } from './route-wording'
import { shareText } from '../policies/split/policy'
import type { ShownRoute, ShownSplit } from './shown-route'

const HEADS = ['Route', 'Host', 'Methods', 'Path', 'Access', 'Destination', 'Limits', 'Timeouts']

/** Builds the page of the route table: what each route matches, and where it goes. */
export function routesPage(routes: readonly ShownRoute[], overload: OverloadConfig): Html {
  const shed = overloadText(overload)
  return html`<h1>Routes</h1>
    <section aria-label="Routes">
      <table class="table">
        <thead>
          <tr>
            ${HEADS.map(head => html`<th scope="col">${head}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${routes.map(row)}
        </tbody>
      </table>
    </section>
    <p class="muted">
      The active route table, in the order of the file. The most specific route wins, in any order. A path also matches
      everything below it, unless it is exact. ${shed !== undefined && `All routes: ${shed}.`}
    </p>`
}

function row(route: ShownRoute): Html {
  const { name, host, methods } = route
  return html`<tr>
    <th scope="row" class="wide" data-label="">
      <a href="/status?${new URLSearchParams({ route: name }).toString()}">${name}</a>
    </th>
    <td data-label="host">${host ?? ANY}</td>
    <td data-label="methods">${methods?.join(', ') ?? ANY}</td>
    <td class="wide" data-label="">${asked(route)}</td>
    <td class="wide" data-label="">${who(route)}</td>
    <td class="wide" data-label="">${action(route)}</td>
    <td class="wide" data-label="">${limits(route)}</td>
    <td class="wide" data-label="">${timeouts(route)}</td>
  </tr>`
}

const ANY = html`<span class="muted">any</span>`

function asked({ path, exact, headers }: ShownRoute): Content {
  return lines([
    html`<code>${path}</code>${exact && html` <span class="muted">(exact)</span>`}`,
    ...Object.entries(headers).map(
      ([name, value]) => html`<span class="muted">with</span> <code>${name}: ${value}</code>`,
    ),
  ])
}

function who(route: ShownRoute): Content {
  const texts = textsAbout(route, 'clients')
  const isOpen = route.auth === null && route.access.length === 0
  return lines([isOpen && ANYBODY, ...texts])
}

const ANYBODY = html`<span class="muted">anyone</span>`

function action(route: ShownRoute): Content {
  const { upstream, split, targets, maintenance, attempts } = route
  return lines([
    ...(split?.variants ?? []).map(variant => variantLine(variant, split as ShownSplit)),
    split !== null
      ? stickyText(split)
      : maintenance
        ? html`<span class="warn-text">${answerText(route)}</span>`
        : answerText(route),
    upstream !== null &&
      html`<a href="/upstreams">${upstream}</a> <span class="mono muted">${targets.join(', ')}</span>`,
    ...textsAbout(route, 'path', 'changes', 'upgrades', 'sampling', 'log'),
    attempts > 1 && `up to ${attempts} attempts`,
  ])
}

function variantLine(
  { name, upstream, targets, weight, match }: ShownSplit['variants'][number],
  { variants }: ShownSplit,
): Html {
  const testers = [...(match?.headers ?? []), ...(match?.cookies ?? []).map(cookie => `cookie ${cookie}`)]
  return html`${shareText({ weight }, variants)} <strong>${name}</strong> <a href="/upstreams">${upstream}</a>
    <span class="mono muted">${targets.join(', ')}</span
    >${testers.length > 0 && html` <span class="muted">testers: ${testers.join(', ')}</span>`}`
}

function stickyText({ stickyBy }: ShownSplit): Html {
  return html`<span class="muted"
    >${stickyBy === 'none' ? 'each request is drawn' : `clients stay by ${stickyBy}`}</span
  >`
}

function limits(route: ShownRoute): Content {
  return lines(textsAbout(route, 'limits', 'size'))
}

function timeouts({ timeouts: { connectMs, responseMs, idleMs, totalMs } }: ShownRoute): Content {
  const all = [
    ['connect', connectMs],
    ['response', responseMs],
    ['idle', idleMs],
    ['total', totalMs],
  ] as const
  const set = all.filter(([, ms]) => ms !== null)
  return set.map(([name, ms], index) => {
    const end = index < set.length - 1 ? ', ' : ''
    return html`<span class="nowrap"><span class="muted">${name}</span> ${duration(ms ?? 0)}${end}</span> `
  })
}

function lines(parts: readonly Content[]): Content {
  return parts.filter(part => part !== false && part !== undefined).map(part => html`<div>${part}</div>`)
}
