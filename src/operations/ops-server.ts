import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'

export interface OpsServerOptions {
  /** Answers a scrape. */
  readonly metrics: RequestListener
  /** Undefined when the gateway takes requests, else why it does not. */
  readonly notReady: () => string | undefined
}

/** The port for operators and machines, beside the traffic. Does not listen yet. */
export function createOpsServer(options: OpsServerOptions): Server {
  const pages: Readonly<Record<string, RequestListener>> = {
    '/': (_request, response) => sendJson(response, 200, { service: 'myesi-gateway', endpoints: Object.keys(pages) }),
    '/metrics': options.metrics,
    // The process runs and its event loop turns: nothing else, or a restart would be the cure for an upstream's outage.
    '/livez': (_request, response) => sendJson(response, 200, { status: 'ok' }),
    '/readyz': (_request, response) => {
      const reason = options.notReady()
      if (reason === undefined) sendJson(response, 200, { status: 'ok' })
      else sendJson(response, 503, { status: 'unavailable', reason })
    },
  }
  return createServer({ connectionsCheckingInterval: 1_000, requestTimeout: 10_000 }, (request, response) => {
    const page = pages[pathOf(request)]
    if (!page) sendJson(response, 404, { status: 'not found', endpoints: Object.keys(pages) })
    else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD')
      sendJson(response, 405, { status: 'method not allowed' })
    } else page(request, response)
  })
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/'
  const mark = url.indexOf('?')
  return mark === -1 ? url : url.slice(0, mark)
}

function sendJson(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
  response.end(`${JSON.stringify(value)}\n`)
}
