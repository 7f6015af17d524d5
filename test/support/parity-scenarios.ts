import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http'
import type { RunningUpstream } from './start-upstream'
import { until } from './until'

/** One request through the gateway, as a client sends it. */
export interface Scenario {
  readonly method: string
  readonly path: string
  readonly body?: string
  /** The client leaves as soon as the upstream has the request. */
  readonly leaves?: boolean
}

export const SCENARIOS = {
  success: { method: 'GET', path: '/app/a?b=1&token=secret' },
  'success with a body': { method: 'POST', path: '/app/a', body: 'x' },
  HEAD: { method: 'HEAD', path: '/app/a' },
  'a method nobody knows': { method: 'PROPFIND', path: '/app/a' },
  '4xx of the upstream': { method: 'GET', path: '/app/status/404' },
  '5xx of the upstream': { method: 'GET', path: '/app/status/503' },
  'no route': { method: 'GET', path: '/nowhere' },
  'over the limit': { method: 'GET', path: '/limited/a' },
  'connection refused': { method: 'GET', path: '/gone' },
  'response timeout': { method: 'GET', path: '/app/silent' },
  'cut off in the middle': { method: 'GET', path: '/app/half' },
  'a call that is made again': { method: 'GET', path: '/again/a' },
  'client gone': { method: 'GET', path: '/patient/silent', leaves: true },
  'an event stream': { method: 'GET', path: '/app/events' },
  'the page of the gateway': { method: 'GET', path: '/' },
} as const satisfies Readonly<Record<string, Scenario>>

export type ScenarioName = keyof typeof SCENARIOS

/** Traces whose first call has failed. */
const failedOnce = new Set<string>()

/** What the upstream of the scenarios does. */
export const answerScenarios: RequestListener = (request, response) => {
  const { url = '' } = request
  const traceparent = String(request.headers['traceparent'])
  const traceId = traceparent.split('-')[1] ?? ''
  if (url.includes('/again') && !failedOnce.has(traceId)) {
    failedOnce.add(traceId)
    response.writeHead(502).end('not yet')
    return
  }
  if (url.includes('/silent')) return
  if (url.includes('/half')) {
    response.writeHead(200, { 'content-length': '100' }).write('half')
    setTimeout(() => response.destroy(), 20)
    return
  }
  if (url.includes('/events')) {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: 1\n\n')
    return
  }
  const status = Number(/\/status\/(\d+)/.exec(url)?.[1] ?? 200)
  request.resume().on('end', () => response.writeHead(status).end('answer'))
}

/** The file both gateways run with. */
export function scenarioConfig(upstreamUrl: string, refusingPort: number): string {
  return JSON.stringify({
    upstreams: {
      app: { targets: [upstreamUrl], timeouts: { response: '1s' } },
      patient: { targets: [upstreamUrl] },
      stubborn: { targets: [upstreamUrl], retries: { attempts: 2 } },
      gone: { targets: [`http://127.0.0.1:${refusingPort}`] },
    },
    routes: [
      { name: 'app', match: { path: '/app' }, upstream: 'app' },
      { name: 'patient', match: { path: '/patient' }, upstream: 'patient' },
      { name: 'again', match: { path: '/again' }, upstream: 'stubborn' },
      { name: 'gone', match: { path: '/gone' }, upstream: 'gone' },
      { name: 'limited', match: { path: '/limited' }, upstream: 'app', rateLimit: { limit: 1, window: '1m' } },
    ],
  })
}

/** Sends it as part of this trace, sampled, and waits for its end as the client sees it. */
export async function runScenario(
  gatewayUrl: string,
  upstream: RunningUpstream,
  { method, path, body, leaves = false }: Scenario,
  traceId: string,
): Promise<void> {
  const seenBefore = upstream.requests.length
  const request = httpRequest(`${gatewayUrl}${path}`, {
    method,
    agent: false,
    headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01`, 'user-agent': 'parity/1' },
  })
  request.on('error', () => undefined)
  request.end(body)
  if (leaves) {
    await until(() => upstream.requests.length > seenBefore, { what: 'the request at the upstream' })
    request.destroy()
    return
  }
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume().on('error', () => undefined)
  // Not once(), which would reject with the error of a response that is cut off.
  await new Promise(resolve => response.on('close', resolve))
}
