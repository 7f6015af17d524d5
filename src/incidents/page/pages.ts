import type { IncomingMessage, ServerResponse } from 'node:http'
import type { PrometheusClient } from '../evidence/prometheus'
import type { IncidentLog } from '../record/incident-log'

export interface PagesOptions {
  readonly incidents: IncidentLog
  /** For the curve of the affected series; the page is made without it when Prometheus does not answer. */
  readonly prometheus: PrometheusClient
}

const LISTED = 100

/** `GET /incidents` and `GET /incidents/{id}`. */
export function createPages({ incidents }: PagesOptions) {
  return async function servePage(_request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    if (path === '/' || path === '/incidents') {
      return sendJson(response, 200, { incidents: await incidents.list(LISTED) })
    }
    const id = /^\/incidents\/([^/]+)$/.exec(path)?.[1]
    const incident = id === undefined ? undefined : await incidents.get(id)
    if (incident) sendJson(response, 200, incident)
    else sendJson(response, 404, { error: 'no such incident is remembered (any more)' })
  }
}

function sendJson(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
  response.end(`${JSON.stringify(value)}\n`)
}
