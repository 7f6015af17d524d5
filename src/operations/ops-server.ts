import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { OpsAccess } from './ops-access'
import { wantsHtml } from '../pages/wants-html'
import { listOffenders } from './offenders'
import { listReloads } from './reloads'
import { listRoutes } from './routes'
import { listSamples, type SampleReader } from './samples'
import { sendJson } from './send-json'
import { showStatus } from './status/show-status'
import type { StatusSources } from './status/status'
import { showSummary } from './summary'
import { listUpstreams } from './upstreams'
import { listTraces, showTrace, type TraceReader } from './traces'

export interface OpsServerOptions extends StatusSources {
  /** Answers a scrape. */
  readonly metrics: RequestListener
  readonly samples: SampleReader
  /**
   * With several workers: asks them for what a page shows. The result replaces these options for this page; empty for pages
   * that the primary answers alone.
   */
  readonly gather?: (path: string, url: string) => Promise<Partial<OpsServerOptions>>
  readonly access: (request: IncomingMessage, path: string) => OpsAccess
}

/** Creates the server of the ops port, which is separate from the traffic. It does not listen yet. */
export function createOpsServer(options: OpsServerOptions): Server {
  const { gather } = options
  const pages = createPages(options)
  return createServer({ connectionsCheckingInterval: 1_000, requestTimeout: 10_000 }, (request, response) => {
    const path = pathOf(request)
    const access = options.access(request, path)
    if (access !== 'granted') return refuse(access, response)
    const page = pageAt(path, pages, options)
    if (!page) sendJson(response, 404, { status: 'not found', endpoints: Object.keys(pages) })
    else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD')
      sendJson(response, 405, { status: 'method not allowed' })
    } else if (gather === undefined) page(request, response)
    else void gathered(path, options, gather, request, response)
  })
}

/** Answers with what the workers know. */
async function gathered(
  path: string,
  options: OpsServerOptions,
  gather: NonNullable<OpsServerOptions['gather']>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const all = { ...options, ...(await gather(path, request.url ?? '/')) }
    pageAt(path, createPages(all), all)?.(request, response)
  } catch {
    if (response.headersSent) response.destroy()
    else sendJson(response, 500, { status: 'error', reason: 'the answers of the workers could not be put together' })
  }
}

function pageAt(
  path: string,
  pages: Readonly<Record<string, RequestListener>>,
  { traces }: OpsServerOptions,
): RequestListener | undefined {
  return Object.hasOwn(pages, path) ? pages[path] : tracePage(path, traces)
}

function createPages(options: OpsServerOptions): Readonly<Record<string, RequestListener>> {
  const pages: Readonly<Record<string, RequestListener>> = {
    '/': (request, response) => {
      if (wantsHtml(request)) response.writeHead(302, { Location: '/status', Vary: 'Accept' }).end()
      else sendJson(response, 200, { service: 'myesi-gateway', endpoints: Object.keys(pages) })
    },
    '/status': (request, response) => showStatus(options, request, response),
    '/routes': (request, response) => listRoutes(options.configuration().config, request, response),
    '/metrics': options.metrics,
    '/traces': (request, response) => listTraces(options.traces, request, response),
    '/offenders': (request, response) => listOffenders(options.offenders, request, response),
    '/samples': (request, response) => listSamples(options.samples, request, response),
    '/reloads': (request, response) => listReloads(options.configuration().reloads, request, response),
    '/summary': (request, response) => showSummary(options, request, response),
    '/upstreams': (request, response) => listUpstreams(options.upstreams, request, response),
    // Proves only that the event loop runs. With more checks, an upstream's outage would restart the gateway.
    '/livez': (_request, response) => sendJson(response, 200, { status: 'ok' }),
    '/readyz': (_request, response) => {
      const reason = options.notReady()
      if (reason === undefined) sendJson(response, 200, { status: 'ok' })
      else sendJson(response, 503, { status: 'unavailable', reason })
    },
  }
  return pages
}

function refuse(access: Exclude<OpsAccess, 'granted'>, response: ServerResponse): void {
  if (access === 'foreign_host') {
    sendJson(response, 403, {
      status: 'forbidden',
      reason:
        "asked by a name that may be another site's: use an address, localhost, the host of OPS_PUBLIC_URL or one of OPS_ALLOWED_HOSTS",
    })
    return
  }
  if (access === 'forbidden') {
    sendJson(response, 403, {
      status: 'forbidden',
      reason:
        'no OPS_TOKEN is set and the ops port does not listen on loopback only: only /livez, /readyz and /metrics are open',
    })
    return
  }
  // A browser asks for a name and a password: the token is the password, under any name.
  response.setHeader('WWW-Authenticate', ['Bearer realm="myesi-gateway"', 'Basic realm="myesi-gateway"'])
  sendJson(response, 401, { status: 'unauthenticated', reason: 'needs the token: Authorization: Bearer' })
}

function tracePage(path: string, traces: TraceReader): RequestListener | undefined {
  if (!path.startsWith('/traces/')) return undefined
  return (request, response) => showTrace(traces, path.slice('/traces/'.length), request, response)
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/'
  const mark = url.indexOf('?')
  return mark === -1 ? url : url.slice(0, mark)
}
