import { html, type Content, type Html } from '../../pages/html'
import { clockOrDate, duration, lasted, timeElement } from '../../pages/times'
import type { Traffic } from '../../observe/recent/recent-requests'
import { overviewHeading, thingsToLookAt } from '../../pages/overview-heading'
import { tile } from '../../pages/tile'
import { milliseconds, perSecond, share } from '../../pages/traffic-wording'
import type { TraceGroup } from '../trace-groups'
import { upstreamTable } from '../upstreams-page'
import type { Burn } from './burn'
import {
  isFailing,
  type LimitedClient,
  type RouteTraffic,
  type Status,
  type TelemetryPipeline,
  type VariantTraffic,
} from './status'
import {
  drawn,
  latencyChart,
  latencyLegend,
  latencySpark,
  requestsChart,
  requestsLegend,
  requestsSpark,
} from './traffic-charts'

export interface StatusPageOptions {
  /** The route whose curves are shown large, instead of those of all routes. */
  readonly curves: { readonly route: string; readonly slots: readonly Traffic[] } | undefined
  readonly refreshes: boolean
  readonly everySeconds: number
  /** Public address of the incident service, which shows all replicas. */
  readonly incidentsUrl?: string | undefined
}

/** The state of the replica on one page: first problems, then numbers, then details. */
export function statusPage(status: Status, options: StatusPageOptions): Html {
  return html`${heading(status, options)} ${tiles(status)} ${curves(status, options)} ${routes(status, options)}
    <div class="cards">${upstreams(status)} ${failures(status)} ${limited(status.limited)} ${replica(status)}</div>
    <p class="muted small">
      Programs get JSON from the same addresses; <code>?format=json</code> shows it in a browser, and
      <code>?format=html</code> brings the page back. For probes: <a href="/livez">/livez</a>,
      <a href="/readyz">/readyz</a>; for Prometheus: <a href="/metrics">/metrics</a>.
    </p>`
}

function heading(status: Status, { curves: focus, refreshes, everySeconds, incidentsUrl }: StatusPageOptions): Html {
  const {
    concerns,
    notReady,
    replica: { startedAtMs },
    timeMs,
  } = status
  const [kind, word, title] =
    notReady !== undefined
      ? (['bad', 'not ready', `Not ready: ${notReady}`] as const)
      : concerns.length > 0
        ? (['warn', 'attention', thingsToLookAt(concerns.length)] as const)
        : (['good', 'ready', 'No problems'] as const)
  const query = new URLSearchParams(focus && { route: focus.route })
  if (refreshes) query.set('refresh', 'off')
  return overviewHeading({
    kind,
    word,
    title,
    concerns: concerns.map(({ text, path }) => html`<li><a href="${path}">${text}</a></li>`),
    maxConcerns: MAX_CONCERNS,
    made: html`${timeElement(timeMs)} UTC as all times here, up for ${lasted(timeMs - startedAtMs)}<br />
      ${refreshes ? `reloads every ${everySeconds} s` : 'does not reload'} ·
      <a href="/status?${query.toString()}">${refreshes ? 'pause' : 'resume'}</a>
      ${
        incidentsUrl !== undefined &&
        html`<br /><a href="${incidentsUrl}/fleet">all replicas</a> · <a href="${incidentsUrl}/incidents">incidents</a>`
      }`,
  })
}

const MAX_CONCERNS = 6

function tiles({ traffic: { all }, inFlight, upstreams: states, redis }: Status): Html {
  const targets = states.flatMap(upstream => upstream.targets)
  const well = targets.filter(({ healthy }) => healthy).length
  return html`<dl class="tiles">
    ${tile('Requests', `${perSecond(all.perSecond)}/s`, `${all.requests} in 15 minutes`)}
    ${tile('Faults', share(all.faults, all.requests), `${all.faults} requests`, all.faults > 0 && 'bad-text')}
    ${tile('Refusals', share(all.refusals, all.requests), `${all.refusals} requests`, all.refusals > 0 && 'warn-text')}
    ${tile('Latency p95', milliseconds(all.p95Ms), `p99 ${milliseconds(all.p99Ms)}`)}
    ${tile('In flight', String(inFlight), 'at this moment')}
    ${tile('Targets', `${well} of ${targets.length}`, 'in service', well < targets.length && 'bad-text')}
    ${
      redis === undefined
        ? tile('Limits', 'memory', 'per replica')
        : redis.isUsable
          ? tile('Limits', 'Redis', 'shared by all replicas')
          : tile('Limits', 'degraded', 'Redis unavailable', 'bad-text')
    }
  </dl>`
}

function curves({ traffic, timeMs: endMs }: Status, { curves: focus }: StatusPageOptions): Html {
  const { startMs, slotMs } = traffic
  const slots = focus?.slots ?? traffic.all.slots
  const what = focus === undefined ? 'all routes' : `route ${focus.route}`
  const requests = drawn({ id: 'requests', what: `Requests per second, ${what}`, startMs, endMs, slotMs, slots })
  const latency = drawn({ id: 'latency', what: `Latency, ${what}`, startMs, endMs, slotMs, slots })
  return html`<section class="curves" aria-label="The last 15 minutes">
    ${focus !== undefined && html`<p class="focus">Route <strong>${focus.route}</strong> · <a href="/status">all routes</a></p>`}
    <figure>
      <h2>Requests per second</h2>
      ${requestsChart(requests)}
      <figcaption>${requestsLegend()}</figcaption>
    </figure>
    <figure>
      <h2>Latency</h2>
      ${latencyChart(latency)}
      <figcaption>${latencyLegend()}</figcaption>
    </figure>
  </section>`
}

function routes(status: Status, { curves: focus }: StatusPageOptions): Html {
  const { routes: shown, routesLeftOut } = status.traffic
  return html`<section aria-labelledby="routes">
    <h2 id="routes">Routes <small class="muted">over the last 15 minutes</small></h2>
    <table class="routes">
      <thead>
        <tr>
          <th scope="col">Route</th>
          <th scope="col" class="picture">Requests</th>
          <th scope="col" class="number">per s</th>
          <th scope="col" class="number">all</th>
          <th scope="col" class="number">faults</th>
          <th scope="col" class="number">refusals</th>
          <th scope="col" class="picture">Latency</th>
          <th scope="col" class="number">p50</th>
          <th scope="col" class="number">p95</th>
          <th scope="col" class="number">p99</th>
        </tr>
      </thead>
      <tbody>
        ${shown.map((route, index) => routeRow(route, index, status, focus?.route))}
      </tbody>
    </table>
    <p class="more">
      <a href="/routes">All routes and their policies</a
      >${routesLeftOut > 0 && `; ${routesLeftOut} more are not shown here`}
    </p>
    ${
      shown.some(({ burns }) => burns.length > 0) &&
      html`<p class="muted small">
        Burn: how many times faster than its objective allows a route failed, in these 15 minutes and on this replica
        alone. The error budget that is left over the whole window is in Prometheus.
      </p>`
    }
  </section>`
}

function routeRow(route: RouteTraffic, index: number, { traffic, timeMs: endMs }: Status, focus?: string): Html {
  const { startMs, slotMs } = traffic
  const { slots, requests, faults, refusals } = route
  const name = route.route ?? 'no route'
  const curve = drawn({ id: `route-${index}`, what: name, startMs, endMs, slotMs, slots })
  const isIdle = requests === 0
  return html`<tr class="${route.route !== null && route.route === focus && 'chosen'}">
      <th scope="row" class="wide">
        ${
          route.route === null
            ? html`no route<span class="muted small">unknown paths, malformed requests</span>`
            : html`<a href="/status?${new URLSearchParams({ route: route.route }).toString()}">${name}</a
                ><code class="muted">${route.path ?? undefined}</code>${route.burns.map(burnLine)}`
        }
      </th>
      <td class="picture wide" data-label="">${!isIdle && requestsSpark(curve)}</td>
      <td class="number" data-label="per second">
        ${isIdle ? html`<span class="muted">idle</span>` : perSecond(route.perSecond)}
      </td>
      <td class="number" data-label="in 15 minutes">${!isIdle && requests}</td>
      <td class="number" data-label="faults">${failedLink(route)}</td>
      <td class="number" data-label="refusals">${!isIdle && share(refusals, requests)}</td>
      <td class="picture wide" data-label="">${!isIdle && latencySpark(curve)}</td>
      <td class="number" data-label="p50">${!isIdle && milliseconds(route.p50Ms)}</td>
      <td class="number" data-label="p95">${!isIdle && milliseconds(route.p95Ms)}</td>
      <td class="number" data-label="p99">${!isIdle && milliseconds(route.p99Ms)}</td>
    </tr>
    ${route.variants.map(variantRow)}`

  function failedLink({ path }: RouteTraffic): Content {
    if (faults === 0) return !isIdle && '0 %'
    const query = new URLSearchParams({ outcome: 'fault', ...(path !== null && { route: path }) })
    return html`<a class="bad-text" href="/traces?${query.toString()}">${share(faults, requests)}</a>`
  }
}

/** "99.9 % over 30 d: burn 20". */
function burnLine({ target, thresholdMs, windowDays, burnRate }: Burn): Html {
  const promise = thresholdMs === undefined ? `${target} %` : `${target} % within ${duration(thresholdMs)}`
  const rate = burnRate === null ? 'no requests' : `burn ${Number(burnRate.toPrecision(2))}`
  const kind = burnRate !== null && burnRate > 1 ? 'warn-text' : 'muted'
  return html`<span class="small burn"
    ><span class="muted">${promise} over ${windowDays} d:</span> <span class="${kind}">${rate}</span></span
  >`
}

/** A variant below its route, with the same numbers, so that variants are compared column by column. */
function variantRow({ variant, upstream, share: part, requests, faults, refusals, ...traffic }: VariantTraffic): Html {
  const isIdle = requests === 0
  return html`<tr class="variant">
    <th scope="row" class="wide">${variant}<span class="muted small">${part} to ${upstream}</span></th>
    <td class="picture wide" data-label=""></td>
    <td class="number" data-label="per second">
      ${isIdle ? html`<span class="muted">idle</span>` : perSecond(traffic.perSecond)}
    </td>
    <td class="number" data-label="in 15 minutes">${!isIdle && requests}</td>
    <td class="number" data-label="faults">
      ${!isIdle && html`<span class="${faults > 0 && 'bad-text'}">${share(faults, requests)}</span>`}
    </td>
    <td class="number" data-label="refusals">${!isIdle && share(refusals, requests)}</td>
    <td class="picture wide" data-label=""></td>
    <td class="number" data-label="p50">${!isIdle && milliseconds(traffic.p50Ms)}</td>
    <td class="number" data-label="p95">${!isIdle && milliseconds(traffic.p95Ms)}</td>
    <td class="number" data-label="p99">${!isIdle && milliseconds(traffic.p99Ms)}</td>
  </tr>`
}

function upstreams({ upstreams: states }: Status): Html {
  return html`<section class="whole" aria-labelledby="upstreams">
    <h2 id="upstreams"><a href="/upstreams">Upstreams</a></h2>
    ${upstreamTable(states)}
  </section>`
}

function failures({ failureGroups: groups, timeMs }: Status): Html {
  return html`<section class="whole failures" aria-labelledby="failures">
    <h2 id="failures"><a href="/traces?outcome=fault">Last failures</a></h2>
    ${
      groups.length === 0
        ? html`<p class="muted">No failures kept. A failing request will appear here with its trace.</p>`
        : html`<table>
            <thead>
              <tr>
                <th scope="col">Last</th>
                <th scope="col">Kept</th>
                ${['Status', 'Example', 'Route', 'Reason'].map(head => html`<th scope="col">${head}</th>`)}
                <th scope="col" class="number">Took</th>
              </tr>
            </thead>
            <tbody>
              ${groups.map(group => failureRow(group, timeMs))}
            </tbody>
          </table>`
    }
  </section>`
}

function failureRow({ newest, count }: TraceGroup, now: number): Html {
  const { route, reason, status, method } = newest
  const alike = { outcome: 'fault', route, reason, status: status === undefined ? undefined : String(status), method }
  const query = new URLSearchParams(
    Object.entries(alike).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  return html`<tr>
    <td class="time wide" data-label="">
      <a href="/traces/${newest.traceId}">${clockOrDate(newest.timeMs, now)}</a>
    </td>
    <td data-label="kept"><a href="/traces?${query.toString()}">${count} ×</a></td>
    <td data-label="status">${status}</td>
    <td class="wide mono" data-label="">${method} ${newest.path}</td>
    <td data-label="route">${route}</td>
    <td class="bad-text" data-label="reason">${reason}</td>
    <td class="number" data-label="took">${duration(newest.durationMs)}</td>
  </tr>`
}

function limited(clients: readonly LimitedClient[]): Html {
  return html`<section aria-labelledby="limited">
    <h2 id="limited"><a href="/offenders">Limited most often</a></h2>
    ${
      clients.length === 0
        ? html`<p class="muted">No client has exceeded a limit since this replica started.</p>`
        : html`<table>
            <thead>
              <tr>
                <th scope="col">Client</th>
                <th scope="col">Route, policy</th>
                <th scope="col" class="number">Times over</th>
              </tr>
            </thead>
            <tbody>
              ${clients.map(
                ({ client, route, policy, count }) =>
                  html`<tr>
                    <td class="mono" data-label="">${client}</td>
                    <td data-label="">${route}, ${policy}</td>
                    <td class="number" data-label="times over">${count}</td>
                  </tr>`,
              )}
            </tbody>
          </table>`
    }
  </section>`
}

/** What runs here, by which configuration, and what limits are counted in. */
function replica({ replica: self, workers, configuration: state, redis, pipelines, timeMs }: Status): Html {
  const { version, node, host, pid, startedAtMs } = self
  const { file, sha256, sinceMs, lastReload, routes: count } = state
  return html`<section aria-labelledby="replica">
    <h2 id="replica">This replica</h2>
    <dl>
      <dt>Version</dt>
      <dd>${version}, Node ${node.replace('v', '')}</dd>
      <dt>Runs on</dt>
      <dd>${host}, process ${pid}</dd>
      ${
        workers &&
        html`<dt>Workers</dt>
          <dd>${workersText(workers)}</dd>`
      }
      <dt>Started</dt>
      <dd>${timeElement(startedAtMs, clockOrDate(startedAtMs, timeMs))}, ${lasted(timeMs - startedAtMs)} ago</dd>
      <dt id="configuration">Active configuration</dt>
      <dd>
        ${file}, <a href="/routes">${count} ${count === 1 ? 'route' : 'routes'}</a>, SHA-256
        <code>${sha256.slice(0, 12)}</code>, since ${timeElement(sinceMs, clockOrDate(sinceMs, timeMs))}
      </dd>
      <dt>Last reload</dt>
      <dd>${reload(lastReload, timeMs)}</dd>
      <dt id="redis">Redis</dt>
      <dd>${redisText(redis, timeMs)}</dd>
      <dt id="telemetry">Telemetry</dt>
      ${pipelines.length === 0 ? html`<dd>nothing is sent</dd>` : pipelines.map(state => html`<dd>${pipelineText(state, timeMs)}</dd>`)}
    </dl>
  </section>`
}

function workersText({ wanted, restarts, running }: NonNullable<Status['workers']>): string {
  const serving = running.filter(({ isListening }) => isListening)
  return `${serving.length} of ${wanted} serve (processes ${running.map(({ pid }) => pid).join(', ')}), ${restarts} restarts`
}

function reload(last: Status['configuration']['lastReload'], now: number): Content {
  if (last === undefined) return 'none since start'
  const at = timeElement(last.atMs, clockOrDate(last.atMs, now))
  const details = html`${last.details.map(detail => html`<br /><code>${detail}</code>`)}`
  return last.isRefused
    ? html`<span class="bad-text">refused</span> at ${at}${details}`
    : html`successful at ${at}${details}`
}

function redisText(redis: Status['redis'], now: number): Content {
  if (redis === undefined) return 'not configured: limits are counted in the memory of this replica'
  const { address, isUsable, outage } = redis
  if (isUsable) return html`<code>${address}</code> <span class="outcome ok">available</span>`
  return html`<code>${address}</code> <span class="outcome fault">unavailable</span>${
      outage &&
      html` since ${timeElement(outage.sinceMs, clockOrDate(outage.sinceMs, now))}, ${lasted(now - outage.sinceMs)}:
      ${outage.reason}`
    }`
}

function pipelineText(state: TelemetryPipeline, now: number): Content {
  const { signal, exporter, receiver, sent, failed, lastFailure } = state
  const lost = Object.values(failed).reduce((total, count) => total + count, 0)
  const where = receiver === '' ? exporter : html`${exporter} to <code>${receiver}</code>`
  return html`${signal} by ${where}: ${sent} ${sent === 1 ? 'batch' : 'batches'} sent, ${lost}
  lost${
    isFailing(state) &&
    lastFailure &&
    html` <span class="outcome fault">failing</span>, last at
      ${timeElement(lastFailure.atMs, clockOrDate(lastFailure.atMs, now))}`
  }`
}
