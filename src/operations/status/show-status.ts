import type { IncomingMessage, ServerResponse } from 'node:http'
import { html } from '../../pages/html'
import { wantsHtml } from '../../pages/wants-html'
import { sendOpsPage } from '../page'
import { sendJson } from '../send-json'
import { readStatus, type Status, type StatusSources } from './status'
import { statusPage } from './status-page'

const PARAMETERS: readonly string[] = ['route', 'refresh', 'format']
/** Refresh interval of the page. It is below a scrape interval, so that the page is as current as a dashboard. */
const REFRESH_SECONDS = 10

/**
 * `GET /status`: the state of this replica. Browsers get a page that reloads itself (`?refresh=off` stops that,
 * `?route=orders` shows the curves of one route), other clients get JSON.
 */
export function showStatus(sources: StatusSources, request: IncomingMessage, response: ServerResponse): void {
  const query = new URL(request.url ?? '/', 'http://ops').searchParams
  const status = readStatus(sources, Date.now())
  const route = query.get('route') || undefined
  const problem = problemOf(query, route, sources)
  if (problem !== undefined) {
    if (wantsHtml(request)) sendOpsPage(response, 400, 'Not understood', html`<h1>${problem}</h1>`)
    else sendJson(response, 400, { error: problem, allowed: PARAMETERS })
    return
  }
  if (!wantsHtml(request)) {
    sendJson(response, 200, toJson(status))
    return
  }
  const refreshes = query.get('refresh') !== 'off'
  const curves = route === undefined ? undefined : { route, slots: sources.recent.slots(route) }
  sendOpsPage(
    response,
    200,
    titleOf(status),
    statusPage(status, { curves, refreshes, everySeconds: REFRESH_SECONDS, incidentsUrl: sources.incidentsUrl }),
    {
      mark: status.status === 'ok' ? 'good' : 'bad',
      ...(refreshes && { refreshSeconds: REFRESH_SECONDS }),
    },
  )
}

function problemOf(query: URLSearchParams, route: string | undefined, sources: StatusSources): string | undefined {
  const unknown = [...query.keys()].find(name => !PARAMETERS.includes(name))
  if (unknown !== undefined) return `unknown parameter "${unknown}"`
  if (!['off', '', null].includes(query.get('refresh'))) return 'refresh can be turned "off", nothing else'
  const isKnown = route === undefined || sources.configuration().config.routes.some(({ name }) => name === route)
  return isKnown ? undefined : `no route "${route}" is in force`
}

function titleOf({ status, concerns }: Status): string {
  if (status === 'ok') return 'All well'
  return status === 'not_ready' ? 'Not ready' : `${concerns.length} to look at`
}

/** Formats times as ISO 8601 for JSON. */
function toJson({
  timeMs,
  replica,
  workers,
  traffic,
  redis,
  failures,
  failureGroups: _groups,
  configuration,
  pipelines,
  ...rest
}: Status): object {
  const { startedAtMs, ...process } = replica
  const { sinceMs, lastReload, reloads: _reloads, ...inForce } = configuration
  return {
    time: new Date(timeMs),
    ...rest,
    replica: {
      ...process,
      startedAt: new Date(startedAtMs),
      uptimeSeconds: Math.round((timeMs - startedAtMs) / 1_000),
    },
    workers: workers && {
      ...workers,
      running: workers.running.map(({ startedAtMs: at, ...worker }) => ({ ...worker, startedAt: new Date(at) })),
    },
    traffic: { ...traffic, startMs: undefined, start: new Date(traffic.startMs) },
    redis: redis && {
      ...redis,
      outage: redis.outage && { since: new Date(redis.outage.sinceMs), reason: redis.outage.reason },
    },
    telemetry: pipelines.map(({ lastSuccessMs, lastFailure, ...pipeline }) => ({
      ...pipeline,
      lastSuccess: lastSuccessMs === undefined ? undefined : new Date(lastSuccessMs),
      lastFailure: lastFailure && { time: new Date(lastFailure.atMs), message: lastFailure.message },
    })),
    failures: failures.map(({ timeMs: at, ...trace }) => ({ time: new Date(at), ...trace })),
    configuration: {
      ...inForce,
      since: new Date(sinceMs),
      lastReload: lastReload && {
        time: new Date(lastReload.atMs),
        isRefused: lastReload.isRefused,
        details: lastReload.details,
      },
    },
  }
}
