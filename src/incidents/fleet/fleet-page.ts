import { BASE_STYLE } from '../../pages/base-style'
import { html, type Content, type Html } from '../../pages/html'
import { overviewHeading, thingsToLookAt } from '../../pages/overview-heading'
import { OVERVIEW_STYLE } from '../../pages/overview-style'
import { safeUrl } from '../../pages/safe-url'
import type { Page } from '../../pages/send-page'
import { styleSheet } from '../../pages/style-sheet'
import { TABLE_STYLE } from '../../pages/table-style'
import { tile } from '../../pages/tile'
import { clockOrDate, duration, lasted, timeElement } from '../../pages/times'
import { TOP_STYLE } from '../../pages/top-style'
import { perSecond, share } from '../../pages/traffic-wording'
import { openable } from '../page/links'
import { allOf, isServing, sinceText, whyText } from './compare'
import type { Fleet, FleetReplica, ReplicaState } from './fleet'

const FLEET_STYLE = `
body { font-size: 15px; line-height: 1.45; }
main { padding: 1rem; max-width: 110rem; }
section { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: .9rem 1.1rem; margin-top: .75rem; }
.fleet th .small, .fleet td .small { display: block; font-weight: 400; }
.fleet td, .fleet tbody th { vertical-align: baseline; }
.fleet thead th { white-space: nowrap; }
.fleet .number { padding-left: .6rem; }
.tiles { grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); }
.tiles dt { font-size: .8125rem; overflow-wrap: normal; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(28rem, 100%), 1fr)); gap: 0 .75rem; }
footer { margin-top: .75rem; }
@media (max-width: 48rem) { .fleet .number { padding-left: 0; } .tiles { grid-template-columns: 1fr 1fr; } }
`
const STYLE = styleSheet(BASE_STYLE, TOP_STYLE, TABLE_STYLE, OVERVIEW_STYLE, FLEET_STYLE)
/** Refresh interval of the page, as of the status page. */
const REFRESH_SECONDS = 10
const MAX_CONCERNS = 12

/** All replicas of the gateway side by side; what needs attention first. */
export function fleetPage(fleet: Fleet, { refreshes }: { readonly refreshes: boolean }): Page {
  const { concerns, replicas } = fleet
  return {
    title: concerns.length > 0 ? `${concerns.length} to look at · Fleet` : 'Fleet',
    mark: concerns.length > 0 ? 'bad' : replicas.length > 0 ? 'good' : 'plain',
    style: STYLE,
    ...(refreshes && { refreshSeconds: REFRESH_SECONDS }),
    body: html`<header class="top">
        <a href="fleet">myesi-gateway</a>
        <nav><a href="incidents">Incidents</a> <a href="fleet" aria-current="page">Fleet</a></nav>
      </header>
      <main>
        ${heading(fleet, refreshes)} ${replicas.length > 0 && tiles(fleet)} ${replicaSection(fleet)}
        <div class="two">${ejectedSection(fleet)} ${limitedSection(fleet)}</div>
        <footer class="muted small">
          <p>
            Requests per second are of the last minute, faults of the last 5 minutes, from each replica's ops port; CPU,
            event loop and limited requests are of the last 5 minutes, from Prometheus. A value in brackets is the last
            one that Prometheus has. <a href="?format=json">As JSON</a>
          </p>
        </footer>
      </main>`,
  }
}

function heading({ concerns, replicas, timeMs }: Fleet, refreshes: boolean): Html {
  const isBad = concerns.some(({ kind }) => kind === 'bad')
  const [kind, word, title] =
    concerns.length > 0
      ? ([isBad ? 'bad' : 'warn', 'attention', thingsToLookAt(concerns.length)] as const)
      : replicas.length > 0
        ? (['good', 'ok', 'No problems'] as const)
        : (['warn', 'empty', 'No replicas known'] as const)
  return overviewHeading({
    kind,
    word,
    title,
    concerns: concerns.map(({ kind: severity, text }) => html`<li class="${severity}-text">${text}</li>`),
    maxConcerns: MAX_CONCERNS,
    made: html`${timeElement(timeMs)} UTC as all times here<br />
      ${refreshes ? `reloads every ${REFRESH_SECONDS} s` : 'does not reload'} ·
      <a href="${refreshes ? 'fleet?refresh=off' : 'fleet'}">${refreshes ? 'pause' : 'resume'}</a>`,
  })
}

function tiles({ replicas, versions, configurations, ejected }: Fleet): Html {
  const present = replicas.filter(({ state }) => state !== 'gone')
  const answering = present.filter(({ summary }) => summary !== undefined)
  const sum = (of: (replica: FleetReplica) => number | undefined): number =>
    answering.reduce((total, replica) => total + (of(replica) ?? 0), 0)
  const requests = sum(({ summary }) => summary?.requests.requests)
  const faults = sum(({ summary }) => summary?.requests.faults)
  const away = present.length - answering.length
  const limited = replicas.reduce(
    (total, { load, summary }) => total + ((summary && (load.limitedPerSecond ?? 0)) || 0),
    0,
  )
  return html`<dl class="tiles">
    ${tile('Replicas', `${answering.length} of ${present.length}`, 'answer', away > 0 && 'bad-text')}
    ${tile('Requests', `${perSecond(sum(({ load }) => load.requestsPerSecond))}/s`, 'in the last minute')}
    ${tile('Faults', requests === 0 ? '–' : share(faults, requests), `${faults} of ${requests} in 5 min`, faults > 0 && 'bad-text')}
    ${tile('Limited', `${perSecond(limited)}/s`, 'in the last 5 min', limited > 0 && 'warn-text')}
    ${tile('In flight', String(sum(({ load }) => load.inFlight)), 'at this moment')}
    ${tile('Ejected targets', String(ejected.length), 'by any replica', ejected.length > 0 && 'bad-text')}
    ${tile('Configurations', String(configurations.length), sameText(configurations.length), configurations.length > 1 && 'warn-text')}
    ${tile('Versions', String(versions.length), versions.length === 1 ? (versions[0]?.value ?? '') : sameText(versions.length), versions.length > 1 && 'warn-text')}
  </dl>`
}

function sameText(count: number): string {
  return count === 1 ? 'the same everywhere' : count === 0 ? 'unknown' : 'replicas differ'
}

function replicaSection(fleet: Fleet): Html {
  const { replicas, leftOut, prometheusProblem } = fleet
  if (replicas.length === 0) {
    return html`<section>
      <p>
        ${prometheusProblem === undefined ? 'Prometheus knows no gateway of the job that GATEWAY_JOB names.' : `Prometheus cannot be asked: ${prometheusProblem}.`}
        This page finds replicas by their metric <code>gateway_ops_info</code>.
      </p>
    </section>`
  }
  return html`<section aria-labelledby="replicas">
    <h2 id="replicas">Replicas</h2>
    <table class="table fleet">
      <thead>
        <tr>
          ${['Replica', 'State', 'Version', 'Configuration'].map(head => html`<th scope="col">${head}</th>`)}
          ${['per s', 'Faults', 'Limited/s', 'In flight', 'CPU', 'Event loop', 'Ejected'].map(
            head => html`<th scope="col" class="number">${head}</th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${replicas.map(replica => replicaRow(replica, fleet.timeMs))}
      </tbody>
    </table>
    ${leftOut > 0 && html`<p class="muted">${leftOut} more are neither asked nor shown.</p>`}
  </section>`
}

const STATES: Readonly<Record<ReplicaState, readonly [kind: string, word: string]>> = {
  ok: ['good', 'ok'],
  attention: ['warn', 'attention'],
  not_ready: ['bad', 'not ready'],
  unreachable: ['bad', 'unreachable'],
  gone: ['', 'gone'],
}

function replicaRow(replica: FleetReplica, now: number): Html {
  const { state, summary, version, sha256, differs, load, ejected, scrape } = replica
  // Its last numbers are not those of now.
  const isOld = summary === undefined && scrape !== 'up'
  const value = (text: string | undefined): Content => (text === undefined ? '' : isOld ? `(${text})` : text)
  const number = (label: string, text: string | undefined, kind: string | false = false): Html =>
    html`<td class="number ${isOld ? 'muted' : kind}" data-label="${label}">${value(text)}</td>`
  const [kind, word] = STATES[state]
  const { faultShare, eventLoopBusy: busy, eventLoopDelayP99Ms: delay } = load
  return html`<tr>
    <th scope="row" class="wide">${replicaName(replica)} ${replicaNote(replica, now)}</th>
    <td class="wide" data-label="">
      <span class="pill ${kind}">${word}</span>
      ${summary && html`<span class="muted small nowrap">up for ${lasted(now - summary.startedAtMs)}</span>`}
    </td>
    <td data-label="version" class="${differs.version && 'warn-text'}">
      ${version}${differs.version && html` <strong>differs</strong>`}
    </td>
    <td data-label="configuration" class="${differs.configuration && 'warn-text'}">
      ${sha256 !== undefined && html`<code title="SHA-256 ${sha256}">${sha256.slice(0, 8)}</code>`}${differs.configuration && html` <strong>differs</strong>`}
      ${summary && html`<span class="muted small">since ${clockOrDate(summary.configSinceMs, now)}</span>`}
    </td>
    ${number('per second', load.requestsPerSecond === undefined ? undefined : perSecond(load.requestsPerSecond))}
    ${number('faults', faultShare === undefined ? undefined : share(faultShare, 1), faultShare !== undefined && faultShare > 0 && 'bad-text')}
    ${number('limited per second', load.limitedPerSecond === undefined ? undefined : perSecond(load.limitedPerSecond))}
    ${number('in flight', load.inFlight === undefined ? undefined : String(Math.round(load.inFlight)))}
    ${number('CPU', load.cpu === undefined ? undefined : share(load.cpu, 1))}
    <td class="number ${isOld && 'muted'}" data-label="event loop">
      ${value(busy === undefined ? undefined : `${share(busy, 1)} busy`)}
      ${delay !== undefined && html`<span class="muted small">${value(`p99 ${duration(Number(delay.toPrecision(2)))} late`)}</span>`}
    </td>
    ${number('ejected targets', String(ejected.length), ejected.length > 0 && 'bad-text')}
  </tr>`
}

/** A link to its status page if a browser can open its address. */
function replicaName({ instance, url, summary }: FleetReplica): Content {
  const href = summary && openable(safeUrl(url === undefined ? undefined : `${url}/status`))
  return href === undefined ? instance : html`<a href="${href}">${instance}</a>`
}

/** What the row cannot say in numbers. */
function replicaNote(replica: FleetReplica, now: number): Content {
  const { state, scrape, summary, lastSeenMs } = replica
  if (state === 'gone') {
    const seen = lastSeenMs === undefined ? '' : `, last seen ${clockOrDate(lastSeenMs, now)}`
    return html`<span class="muted small">Prometheus no longer scrapes it${seen}</span>`
  }
  if (state === 'unreachable') {
    const text = scrape === 'up' ? `no summary: ${whyText(replica)}` : `${sinceText(replica, now)}: ${whyText(replica)}`
    return html`<span class="bad-text small">${text}</span>`
  }
  const [first, ...others] = [
    ...(summary?.notReady === undefined ? [] : [summary.notReady]),
    ...(summary?.concerns ?? []),
  ]
  if (first === undefined) return html`<span class="muted small">${summary?.host}</span>`
  return html`<span class="muted small">${first}${others.length > 0 && ` (and ${others.length} more)`}</span>`
}

function ejectedSection({ ejected, replicas }: Fleet): Content {
  const all = replicas.filter(isServing).length
  if (ejected.length === 0) return undefined
  return html`<section aria-labelledby="ejected">
    <h2 id="ejected">Ejected targets</h2>
    <table class="table">
      <thead>
        <tr>
          ${['Upstream', 'Target', 'Reason', 'By'].map(head => html`<th scope="col">${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${ejected.slice(0, MAX_ROWS).map(
          ({ upstream, target, reason, instances }) =>
            html`<tr>
              <th scope="row">${upstream}</th>
              <td class="mono" data-label="">${target}</td>
              <td class="wide" data-label="">${reason}</td>
              <td class="wide" data-label="by">
                ${instances.length === all ? allOf(all) : `${instances.length} of ${all} replicas`}${instances.length < all && html`<span class="muted small"> ${instances.slice(0, 3).join(', ')}${instances.length > 3 && ', …'}</span>`}
              </td>
            </tr>`,
        )}
      </tbody>
    </table>
    ${ejected.length > MAX_ROWS && html`<p class="muted">and ${ejected.length - MAX_ROWS} more</p>`}
  </section>`
}

const MAX_ROWS = 20

function limitedSection({ limited }: Fleet): Content {
  if (limited.length === 0) return undefined
  return html`<section aria-labelledby="limited">
    <h2 id="limited">Limited most often <small class="muted">since each replica started</small></h2>
    <table class="table">
      <thead>
        <tr>
          ${['Client', 'Route, policy'].map(head => html`<th scope="col">${head}</th>`)}
          ${['Times over', 'Replicas'].map(head => html`<th scope="col" class="number">${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${limited.map(
          ({ client, route, policy, count, instances }) =>
            html`<tr>
              <td class="mono" data-label="">${client}</td>
              <td data-label="">${route}, ${policy}</td>
              <td class="number" data-label="times over">${count}</td>
              <td class="number" data-label="replicas">${instances.length}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`
}
