import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendJson } from './send-json'
import type { Reload } from './status/status'

/** `GET /reloads`: what the recent reloads of the configuration changed, oldest first, and why others were refused. */
export function listReloads(reloads: readonly Reload[], _request: IncomingMessage, response: ServerResponse): void {
  sendJson(response, 200, { reloads: reloads.map(({ atMs, ...rest }) => ({ time: new Date(atMs), ...rest })) })
}
