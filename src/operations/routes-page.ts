import { html, type Content, type Html } from '../page/html'
import { duration, lasted } from '../page/times'
import type { ShownEdits, ShownLimit, ShownRoute } from './shown-route'

const HEADS = ['Route', 'Host', 'Methods', 'Path', 'Who', 'Where to', 'Limits', 'Timeouts']

/** The route table: what is asked for, and what becomes of it. */
export function routesPage(routes: readonly ShownRoute[]): Html {
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
      The table in force, in the order of the file. The most specific route wins, whatever the order; a path stands for
      everything below it too, unless it says exactly.
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
    html`<code>${path}</code>${exact && html` <span class="muted">exactly</span>`}`,
    ...Object.entries(headers).map(
      ([name, value]) => html`<span class="muted">with</span> <code>${name}: ${value}</code>`,
    ),
  ])
}

function who({ auth, access }: ShownRoute): Content {
  const addresses = access.flatMap(({ allow, deny }) => [
    allow.length > 0 && html`<span class="muted">from</span> ${allow.join(', ')}`,
    deny.length > 0 && html`<span class="muted">not from</span> ${deny.join(', ')}`,
  ])
  if (auth === null) return lines(addresses.length > 0 ? addresses : [ANYBODY])
  const { apiKeyHeader, scopes } = auth
  return lines([
    apiKeyHeader !== null && html`<span class="muted">with a key in</span> <code>${apiKeyHeader}</code>`,
    scopes.length > 0 && html`<span class="muted">scopes</span> ${scopes.join(', ')}`,
    ...addresses,
  ])
}

const ANYBODY = html`<span class="muted">anybody</span>`

function action(route: ShownRoute): Content {
  const { upstream, targets, redirect, respond, maintenance, rewrite, attempts } = route
  const { requestHeaders, responseHeaders, webSocket } = route
  return lines([
    maintenance && html`<span class="warn-text">closed for maintenance</span>`,
    redirect !== null && html`${redirect.status} to <code>${redirect.to}</code>`,
    respond !== null && `${respond.status}, the same for all`,
    upstream !== null &&
      html`<a href="/upstreams">${upstream}</a> <span class="mono muted">${targets.join(', ')}</span>`,
    rewrite.stripPrefix !== undefined && html`<span class="muted">without</span> <code>${rewrite.stripPrefix}</code>`,
    rewrite.addPrefix !== undefined && html`<span class="muted">below</span> <code>${rewrite.addPrefix}</code>`,
    edited('request', requestHeaders),
    edited('response', responseHeaders),
    !webSocket && 'no upgrades',
    attempts > 1 && `up to ${attempts} calls`,
  ])
}

function edited(what: string, { set, add, remove }: ShownEdits): Content {
  const all = [...set.map(name => `= ${name}`), ...add.map(name => `+ ${name}`), ...remove.map(name => `− ${name}`)]
  return all.length > 0 && html`<span class="muted">${what}</span> <code>${all.join(', ')}</code>`
}

function limits({ rateLimits, maxBodyBytes }: ShownRoute): Content {
  return lines([
    ...rateLimits.map(limit),
    maxBodyBytes !== null && html`${size(maxBodyBytes)} <span class="muted small">of body</span>`,
  ])
}

function limit({ policy, limit: most, windowMs, key, algorithm, dryRun, onStoreFailure }: ShownLimit): Html {
  const how = [
    `by ${key.join(' and ')}`,
    ...(algorithm === 'gcra' ? ['evenly'] : []),
    ...(onStoreFailure === 'local' ? [] : [`Redis away: ${onStoreFailure}`]),
  ]
  return html`${most} in ${lasted(windowMs)}
    <span class="muted small">${policy}, ${how.join(', ')}</span
    >${dryRun && html` <span class="warn-text">dry run</span>`}`
}

/** As the file says it, where that is a round number. */
function size(bytes: number): string {
  if (bytes >= 1_048_576 && bytes % 1_048_576 === 0) return `${bytes / 1_048_576} MiB`
  return bytes >= 1_024 && bytes % 1_024 === 0 ? `${bytes / 1_024} KiB` : `${bytes} bytes`
}

function timeouts({ timeouts: { connectMs, responseMs, idleMs, totalMs } }: ShownRoute): Content {
  const all = [
    ['connect', connectMs],
    ['response', responseMs],
    ['idle', idleMs],
    ['total', totalMs],
  ] as const
  return all.flatMap(([name, ms]) =>
    ms === null ? [] : [html`<span class="nowrap"><span class="muted">${name}</span> ${duration(ms)}</span> `],
  )
}

function lines(parts: readonly Content[]): Content {
  return parts.filter(part => part !== false && part !== undefined).map(part => html`<div>${part}</div>`)
}
