import type { IncomingMessage, ServerResponse } from 'node:http'
import { wantsHtml } from '../pages/wants-html'
import { sendOpsPage } from './page'
import { sendJson } from './send-json'
import type { TargetState, UpstreamReader, UpstreamState } from './sources'
import { upstreamsPage } from './upstreams-page'

export type { TargetState, UpstreamReader, UpstreamState }

/** `GET /upstreams`: the state of the targets. */
export function listUpstreams(read: UpstreamReader, request: IncomingMessage, response: ServerResponse): void {
  if (wantsHtml(request)) sendOpsPage(response, 200, 'Upstreams', upstreamsPage(read()))
  else sendJson(response, 200, { upstreams: read() })
}
