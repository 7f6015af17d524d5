import type { IncomingMessage, ServerResponse } from 'node:http'
import { COMMON_HEADERS, sendPage } from '../../pages/send-page'
import { wantsHtml } from '../../pages/wants-html'
import { toFleetAnswer } from '../fleet/fleet-json'
import { fleetPage } from '../fleet/fleet-page'
import type { FleetReader } from '../fleet/fleet-reader'
import type { Incident } from '../record/incident'
import type { IncidentLog } from '../record/incident-log'
import { createActions, isAction } from './actions'
import { curvesOf, type AskedPrometheus } from './curves'
import { toIncidentAnswer } from './incident-json'
import { FormTokens } from './form-token'
import { incidentPage } from './incident-page'
import { withLastFailures } from './last-failures'
import type { Places } from './links'
import { listPage, notFoundPage, type ListFilter } from './list-page'
import { postMortem } from './post-mortem'
import { runbookPage } from './runbooks'
import { firstLine, tell } from './story'

export interface PagesOptions {
  readonly incidents: Pick<IncidentLog, 'get' | 'list' | 'change'>
  /** Key of the tokens in forms; undefined: a random one. */
  readonly secret?: string | undefined
  /** Source of the curves; the page is rendered without them if Prometheus does not answer. */
  readonly prometheus: AskedPrometheus
  readonly gatewayJob: string
  readonly fleet: Pick<FleetReader, 'read'>
  /** Called for each page: the service's own address is known only once it listens. */
  readonly places: () => Places
}

/** Maximum incidents on the list: the open ones and the newest others. */
const LISTED = 100
const GONE = 'There is no such incident, or it is no longer stored.'

/** Serves `GET /incidents`, `GET /incidents/{id}` and `GET /fleet`: a page for browsers, JSON for other clients. */
export function createPages({ incidents, prometheus, gatewayJob, fleet, places, secret }: PagesOptions) {
  const tokens = new FormTokens(secret)
  const act = createActions({ incidents, tokens })
  return async function servePage(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    if (request.method === 'POST' && isAction(path)) return act(request, response, path)
    const now = Date.now()
    const isForPeople = wantsHtml(request)
    if (path === '/' || path === '/incidents') {
      const found = await incidents.list(LISTED)
      if (isForPeople) sendPage(response, 200, listPage(found, now, filterOf(request)))
      else sendJson(response, 200, { incidents: found.map(incident => summary(incident, now)) })
      return
    }
    if (path === '/fleet') {
      const state = await fleet.read()
      if (isForPeople) sendPage(response, 200, fleetPage(state, { refreshes: refreshes(request) }))
      else sendJson(response, 200, toFleetAnswer(state))
      return
    }
    const [, alertname] = /^\/runbooks\/(\w+)$/.exec(path) ?? []
    const runbook = alertname === undefined ? undefined : runbookPage(alertname)
    if (runbook !== undefined) return sendPage(response, 200, runbook)
    const [, id, document] = /^\/incidents\/([^/]+)(\/post-mortem\.md)?$/.exec(path) ?? []
    const incident = id === undefined ? undefined : await incidents.get(id)
    if (incident === undefined) {
      if (isForPeople) sendPage(response, 404, notFoundPage(id === undefined ? 'There is no such page.' : GONE))
      else sendJson(response, 404, { error: GONE })
    } else if (document !== undefined || wantsMarkdown(request)) {
      const name = document === undefined ? undefined : `post-mortem-${incident.id}.md`
      sendMarkdown(response, postMortem(await withLastFailures(incident, prometheus, now), now), name)
    } else if (isForPeople) {
      const [known, curves] = await Promise.all([
        withLastFailures(incident, prometheus, now),
        curvesOf(incident, tell(incident, now).sinceMs, { prometheus, gatewayJob }, now),
      ])
      const formToken = tokens.create(incident.id, now)
      const view = { incident: known, story: tell(known, now), curves, places: places(), formToken, now }
      sendPage(response, 200, incidentPage(view))
    } else sendJson(response, 200, toIncidentAnswer(incident, now))
  }
}

/** What the query asks to see: `?state=firing&severity=critical&text=orders`. */
function filterOf({ url = '' }: IncomingMessage): ListFilter {
  const query = new URLSearchParams(url.slice(url.indexOf('?') + 1))
  const of = (name: string): string => (query.get(name) ?? '').slice(0, MAX_FILTER)
  return { state: of('state'), severity: of('severity'), text: of('text') }
}

const MAX_FILTER = 100

/** `?refresh=off` stops the page from reloading itself. */
function refreshes({ url = '' }: IncomingMessage): boolean {
  return new URLSearchParams(url.slice(url.indexOf('?') + 1)).get('refresh') !== 'off'
}

/** An incident in the list; all its data, with every span, is at its own address. */
function summary(incident: Incident, now: number): object {
  const { id, title, cause, openedAtMs, closedAtMs, alerts } = incident
  const story = tell(incident, now)
  const { severity, sinceMs, lastBadMs } = story
  return {
    id,
    title,
    cause,
    severity,
    sinceMs,
    lastBadMs,
    openedAtMs,
    closedAtMs,
    alerts: alerts.length,
    line: firstLine(story),
  }
}

/** `?format=markdown`: a post-mortem draft. */
function wantsMarkdown({ url = '' }: IncomingMessage): boolean {
  return new URLSearchParams(url.slice(url.indexOf('?') + 1)).get('format') === 'markdown'
}

/** Sends a file to save if it has a name, otherwise plain text, which a browser shows without running anything in it. */
function sendMarkdown(response: ServerResponse, text: string, name: string | undefined): void {
  const type = name === undefined ? 'text/plain' : 'text/markdown'
  const asFile = name === undefined ? {} : { 'Content-Disposition': `attachment; filename="${name}"` }
  response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8`, ...asFile, ...COMMON_HEADERS })
  response.end(text)
}

function sendJson(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...COMMON_HEADERS })
  response.end(`${JSON.stringify(value)}\n`)
}
