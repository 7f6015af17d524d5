import type { IncomingMessage, ServerResponse } from 'node:http'
import type { GatewayConfig } from '../config/gateway-config'
import { wantsHtml } from '../pages/wants-html'
import { sendOpsPage } from './page'
import { routesPage } from './routes-page'
import { sendJson } from './send-json'
import { shownRoutes } from './shown-route'

/** `GET /routes`: the active route table. */
export function listRoutes(config: GatewayConfig, request: IncomingMessage, response: ServerResponse): void {
  const routes = shownRoutes(config)
  const { overload } = config.entrypoint
  if (wantsHtml(request)) sendOpsPage(response, 200, 'Routes', routesPage(routes, overload))
  else sendJson(response, 200, { sha256: config.sha256, overload, routes })
}
