import type { IncomingMessage, ServerResponse } from 'node:http'
import { COMMON_HEADERS, sendPage } from '../../pages/send-page'
import { wantsHtml } from '../../pages/wants-html'
import type { Incident } from '../record/incident'
import type { IncidentLog } from '../record/incident-log'
import { curvesOf, type AskedPrometheus } from './curves'
import { toIncidentAnswer } from './incident-json'
import { incidentPage } from './incident-page'
import { withLastFailures } from './last-failures'
import type { Places } from './links'
import { listPage, notFoundPage } from './list-page'
import { postMortem } from './post-mortem'
import { runbookPage } from './runbooks'
import { firstLine, tell } from './story'

export interface PagesOptions {
  readonly incidents: Pick<IncidentLog, 'get' | 'list'>
  /** Source of the curves; the page is rendered without them if Prometheus does not answer. */
  readonly prometheus: AskedPrometheus
  readonly gatewayJob: string
  /** Called for each page: the service's own address is known only once it listens. */
  readonly places: () => Places
}

/** Maximum incidents on the list: the open ones and the newest others. */
const LISTED = 100
const GONE = 'There is no such incident, or it is no longer stored.'

/** Serves `GET /incidents` and `GET /incidents/{id}`: a page for browsers, JSON for other clients. */
export function createPages({ incidents, prometheus, gatewayJob, places }: PagesOptions) {
  return async function servePage(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const now = Date.now()
    const isForPeople = wantsHtml(request)
    if (path === '/' || path === '/incidents') {
      const found = await incidents.list(LISTED)
      if (isForPeople) sendPage(response, 200, listPage(found, now))
      else sendJson(response, 200, { incidents: found.map(incident => summary(incident, now)) })
      return
    }
    const [, alertname] = /^\/runbooks\/(\w+)$/.exec(path) ?? []
    const runbook = alertname === undefined ? undefined : runbookPage(alertname)
    if (runbook !== undefined) return sendPage(response, 200, runbook)
    const id = /^\/incidents\/([^/]+)$/.exec(path)?.[1]
    const incident = id === undefined ? undefined : await incidents.get(id)
    if (incident === undefined) {
      if (isForPeople) sendPage(response, 404, notFoundPage(id === undefined ? 'There is no such page.' : GONE))
      else sendJson(response, 404, { error: GONE })
    } else if (wantsMarkdown(request)) {
      sendText(response, postMortem(await withLastFailures(incident, prometheus, now), now))
    } else if (isForPeople) {
      const [known, curves] = await Promise.all([
        withLastFailures(incident, prometheus, now),
        curvesOf(incident, tell(incident, now).sinceMs, { prometheus, gatewayJob }, now),
      ])
      const view = { incident: known, story: tell(known, now), curves, places: places(), now }
      sendPage(response, 200, incidentPage(view))
    } else sendJson(response, 200, toIncidentAnswer(incident, now))
  }
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

/** Sends plain text, so that a browser shows it and runs nothing in it. */
function sendText(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8', ...COMMON_HEADERS })
  response.end(text)
}

function sendJson(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...COMMON_HEADERS })
  response.end(`${JSON.stringify(value)}\n`)
}
