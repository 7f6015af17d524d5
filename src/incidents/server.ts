import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createTokenCheck, isNear } from '../access/access'
import { parseAlerts, type Alert } from './alerts/alert'
import { isAction } from './page/actions'

export interface IncidentServerOptions {
  readonly token: string | undefined
  /** Token that may only post changes; absent: `token`. */
  readonly changesToken?: string | undefined
  /** The host of `INCIDENT_PUBLIC_URL`: the only public host name accepted from near addresses. */
  readonly ownHost: string | undefined
  /** Takes alerts; must return at once. */
  readonly receive: (alerts: readonly Alert[], invalid: number) => void
  /** Takes a posted change: returns a problem, or undefined if it was accepted. */
  readonly change: (body: unknown) => Promise<string | undefined>
  /** Serves the pages and their JSON, below `/incidents`. */
  readonly pages: (request: IncomingMessage, response: ServerResponse, path: string) => Promise<void>
  readonly metrics: RequestListener
  /** Called when a request fails because of a bug in this service. */
  readonly onFailure: (error: unknown) => void
}

/** Maximum body: a POST of Prometheus has up to 256 alerts of a few kilobytes each. */
const MAX_BODY_BYTES = 4 * 1024 * 1024

/**
 * Creates the server. It implements the part of Alertmanager's API v2 that Prometheus needs to post alerts, and serves
 * the incident pages. Posting requires the token if one is set, otherwise a near address; reading accepts either.
 */
export function createIncidentServer(options: IncidentServerOptions): Server {
  const hasToken = createTokenCheck(options.token)
  const isOurs = (request: IncomingMessage): boolean => isNear(request, options.ownHost)
  const mayWrite = (request: IncomingMessage): boolean =>
    options.token === undefined ? isOurs(request) : hasToken(request)
  const hasChangesToken = createTokenCheck(options.changesToken)
  const mayPostChanges = (request: IncomingMessage): boolean =>
    hasChangesToken(request) || (options.changesToken === undefined ? mayWrite(request) : hasToken(request))
  const mayRead = (request: IncomingMessage): boolean => hasToken(request) || isOurs(request)

  return createServer({ requestTimeout: 10_000, connectionsCheckingInterval: 1_000 }, (request, response) => {
    const path = pathOf(request)
    if (path === '/-/healthy' || path === '/-/ready') return answer(response, 200, 'OK')
    if (path === '/api/v2/alerts') {
      if (request.method !== 'POST') return answer(response, 405, 'alerts are posted here')
      if (!mayWrite(request)) return refuse(response, options.token)
      // A web page of another site can make a browser near here post any other type, and so raise a false alert.
      if (!isJson(request)) return answer(response, 415, 'alerts are posted as application/json')
      return void takeAlerts(request, response, options)
    }
    if (path === '/changes' && request.method === 'POST') {
      if (!mayPostChanges(request)) return refuse(response, options.changesToken ?? options.token)
      if (!isJson(request)) return answer(response, 415, 'changes are posted as application/json')
      return void takeChange(request, response, options)
    }
    if (request.method === 'POST' && isAction(path)) {
      if (!mayWrite(request)) return refuse(response, options.token)
      return void options.pages(request, response, path).catch((error: unknown) => {
        options.onFailure(error)
        fail(response)
      })
    }
    if (!mayRead(request)) return refuse(response, options.token)
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, 'pages are read')
    if (path === '/metrics') return options.metrics(request, response)
    void options.pages(request, response, path).catch((error: unknown) => {
      options.onFailure(error)
      fail(response)
    })
  })
}

/**
 * Answers 401 with basic authentication: the token is the password, with any user name, so that pages open on a phone.
 */
function refuse(response: ServerResponse, token: string | undefined): void {
  if (token === undefined)
    return answer(
      response,
      403,
      'only near addresses, asked by address or a name of one label, as INCIDENTS_TOKEN is not set',
    )
  response.setHeader('WWW-Authenticate', ['Bearer realm="incidents"', 'Basic realm="incidents", charset="UTF-8"'])
  answer(response, 401, 'the token is needed')
}

function isJson({ headers }: IncomingMessage): boolean {
  return /^application\/json *(?:;|$)/i.test(headers['content-type'] ?? '')
}

/** `new URL` is not used: it throws at `//`, which any client may request. */
function pathOf({ url = '/' }: IncomingMessage): string {
  const path = url.split('?', 1)[0] ?? '/'
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}

async function takeAlerts(
  request: IncomingMessage,
  response: ServerResponse,
  { receive, onFailure }: IncidentServerOptions,
): Promise<void> {
  let body: string | undefined
  try {
    body = await readBody(request)
  } catch {
    response.destroy() // the client closed the connection: no response is possible
    return
  }
  if (body === undefined) return answer(response, 413, `more than ${MAX_BODY_BYTES} bytes`)
  try {
    const { alerts, problems } = parseAlerts(parseJson(body), new Date())
    receive(alerts, problems.length)
    if (problems.length === 0) answer(response, 200, '')
    else answer(response, 400, problems.slice(0, 20).join('; '))
  } catch (error) {
    onFailure(error)
    fail(response)
  }
}

/** Maximum body of a change: one sentence and a few names. */
const MAX_CHANGE_BYTES = 16 * 1024

async function takeChange(
  request: IncomingMessage,
  response: ServerResponse,
  { change, onFailure }: IncidentServerOptions,
): Promise<void> {
  try {
    const body = await readBody(request, MAX_CHANGE_BYTES).catch(() => null)
    if (body === null) return void response.destroy() // the client closed the connection
    if (body === undefined) return answer(response, 413, `more than ${MAX_CHANGE_BYTES} bytes`)
    const problem = await change(parseJson(body))
    if (problem === undefined) answer(response, 202, '')
    else answer(response, 400, problem)
  } catch (error) {
    onFailure(error)
    fail(response)
  }
}

async function readBody(request: IncomingMessage, maxBytes = MAX_BODY_BYTES): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' })
  response.end(text)
}

function fail(response: ServerResponse): void {
  if (response.headersSent) response.destroy()
  else answer(response, 500, 'something went wrong here; the log says what')
}
