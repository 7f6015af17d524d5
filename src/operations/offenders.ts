import type { IncomingMessage, ServerResponse } from 'node:http'
import { html } from '../pages/html'
import { wantsHtml } from '../pages/wants-html'
import { offendersPage } from './offenders-page'
import { sendOpsPage } from './page'
import { sendJson } from './send-json'
import type { OffenderList, OffenderReader } from './sources'

export type { OffenderList, OffenderReader }

const FILTERS = ['route', 'policy'] as const

/** `GET /offenders`: the clients that exceed limits on this replica; `?route=orders&policy=daily` to filter. */
export function listOffenders(read: OffenderReader, request: IncomingMessage, response: ServerResponse): void {
  const query = new URL(request.url ?? '/', 'http://ops').searchParams
  const known: readonly string[] = [...FILTERS, 'format']
  const unknown = [...query.keys()].find(name => !known.includes(name))
  if (unknown !== undefined) {
    const problem = `unknown parameter "${unknown}"`
    if (wantsHtml(request)) sendOpsPage(response, 400, 'Not understood', html`<h1>${problem}</h1>`)
    else sendJson(response, 400, { error: problem, allowed: known })
    return
  }
  const lists = read().filter(list => FILTERS.every(name => (query.get(name) || list[name]) === list[name]))
  if (wantsHtml(request)) sendOpsPage(response, 200, 'Limited clients', offendersPage(lists))
  else sendJson(response, 200, { policies: lists })
}
