import { setTimeout as delay } from 'node:timers/promises'
import { bodyOf, startUpstream, type RunningUpstream } from './start-upstream'

export const REPLICAS = 10
/** Of each route in ten minutes, as a gateway with a hundred busy routes keeps them: 40 000 samples in a quarter of an hour. */
const SAMPLES = 280
const SLOTS = 20
const SLOT_MS = 30_000
const SPANS = 8
/** What a query about one of a thousand series costs Prometheus. */
const QUERY_MS = 10

/** Ten gateways and their Prometheus, with answers as large as those of a fleet with a hundred busy routes. */
export interface FleetStandIn {
  readonly prometheus: RunningUpstream
  readonly replicas: readonly RunningUpstream[]
  /** The moments that Prometheus was asked about: alerts that arrive in one second share theirs. */
  readonly moments: Set<string>
  /** Requests since the last call, by what they ask for. */
  takeCounts(): Counts
}

export interface Counts {
  readonly prometheus: number
  readonly moments: number
  /** All requests to ops ports by the first part of their path; `trace` is one opened trace, `traces` a list. */
  readonly ops: Readonly<Record<string, number>>
  /** The most that one replica was asked. */
  readonly most: number
}

export async function startFleetStandIn(onsetMs: number): Promise<FleetStandIn> {
  const replicas = await Promise.all(
    Array.from({ length: REPLICAS }, async () => {
      const most = samplesOf(SAMPLES, onsetMs)
      const fewer = samplesOf(SAMPLES / 2, onsetMs)
      return startUpstream((request, response) => {
        const { pathname, searchParams } = new URL(request.url ?? '/', 'http://ops')
        const route = searchParams.get('route') ?? ''
        if (pathname === '/samples') {
          const samples = Number(searchParams.get('limit')) < SAMPLES ? fewer : most
          return response.end(samples.replaceAll('/route', route).replaceAll('of-route', upstreamOf(route)))
        }
        if (pathname === '/traces') return response.end(listOf(route, onsetMs))
        if (pathname.startsWith('/traces/')) return response.end(traceOf(pathname.slice('/traces/'.length), onsetMs))
        if (pathname === '/reloads') return response.end('{"reloads":[]}')
        return response.writeHead(404).end('{}')
      })
    }),
  )
  const moments = new Set<string>()
  const prometheus = await startUpstream((request, response) => {
    bodyOf(request).then(
      async body => {
        const question = new URLSearchParams(body.toString())
        const query = question.get('query') ?? ''
        if (query.includes('gateway_ops_info{')) moments.add(question.get('time') ?? '')
        await delay(QUERY_MS)
        response.end(JSON.stringify({ status: 'success', data: answerTo(request.url ?? '', question) }))
      },
      () => response.destroy(),
    )
  })

  function answerTo(url: string, question: URLSearchParams): unknown {
    const query = question.get('query') ?? ''
    const route = /http_route="([^"]*)"/.exec(query)?.[1] ?? '/r0'
    if (url.endsWith('/query_exemplars')) return exemplarsOf(route, onsetMs)
    if (url.endsWith('/query_range')) {
      const times = timesOf(question)
      const values = times.map(time => [time, String(Math.max(0, time - onsetMs / 1_000))])
      const instances = query.includes('by (instance') ? REPLICAS : 1
      return {
        result: Array.from({ length: instances }, (_, index) => ({
          metric: instances === 1 ? {} : { instance: `replica${index}`, sha256: 'a', service_version: '1' },
          values: instances === 1 ? values : times.map(time => [time, '1']),
        })),
      }
    }
    if (query.includes('gateway_ops_info{')) {
      return { result: replicas.map(({ url: at }, index) => sample({ instance: `replica${index}`, url: at }, 1)) }
    }
    const isStart = Number(question.get('time')) * 1_000 < onsetMs
    if (query.includes('by (http_route')) {
      const own = { http_route: route, gateway_upstream_name: upstreamOf(route) }
      const failed = { ...own, gateway_outcome: 'fault', gateway_reason: 'connection_refused' }
      return { result: [sample({ ...own, gateway_outcome: 'ok' }, 9_000), sample(failed, isStart ? 0 : 600)] }
    }
    if (query.includes('by (http_response_status_code')) {
      return { result: [sample({ http_response_status_code: '502' }, isStart ? 0 : 600)] }
    }
    return { result: query.startsWith('slo:') ? [] : [sample({}, onsetMs)] }
  }

  return {
    prometheus,
    replicas,
    moments,
    takeCounts: () => {
      const ops: Record<string, number> = {}
      for (const { url } of replicas.flatMap(({ requests }) => requests)) {
        const kind = url.startsWith('/traces/') ? 'trace' : (/^\/(\w+)/.exec(url)?.[1] ?? '')
        ops[kind] = (ops[kind] ?? 0) + 1
      }
      const counts = {
        prometheus: prometheus.requests.length,
        moments: moments.size,
        ops,
        most: Math.max(...replicas.map(({ requests }) => requests.length)),
      }
      for (const { requests } of [prometheus, ...replicas]) requests.length = 0
      moments.clear()
      return counts
    },
  }
}

/** Ten routes share an upstream. */
export function upstreamOf(route: string): string {
  return `upstream${route.slice(-1)}`
}

function sample(metric: object, value: number): object {
  return { metric, value: [0, String(value)] }
}

function timesOf(question: URLSearchParams): number[] {
  const [start = 0, end = 0, step = 1] = ['start', 'end', 'step'].map(name => Number(question.get(name)))
  return Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, index) => start + index * step)
}

/** A third of the requests fails since the onset, all of them at one of three targets. */
function samplesOf(count: number, onsetMs: number): string {
  const firstMs = onsetMs - (onsetMs % SLOT_MS) - (SLOTS - 4) * SLOT_MS
  const each = count / SLOTS
  const groups = Array.from({ length: SLOTS }, (_, slot) => {
    const startMs = firstMs + slot * SLOT_MS
    const all = Array.from({ length: each }, (_unused, index) => requestOf(startMs + index * 100, slot * each + index))
    const bad = startMs >= onsetMs ? all.filter(({ target }) => target.endsWith('7:9001')) : []
    const good = all.filter(request => !bad.includes(request))
    const about = { startMs, route: '/route', weight: 20 }
    return [
      { ...about, kind: 'good', seen: good.length * 20, samples: good },
      {
        ...about,
        kind: 'fault',
        seen: bad.length * 20,
        samples: bad.map(request => ({ ...request, status: 502, reason: 'connection_refused' })),
      },
    ].filter(({ samples }) => samples.length > 0)
  })
  return JSON.stringify({ groups: groups.flat() })
}

function requestOf(timeMs: number, index: number): { readonly target: string } & Record<string, unknown> {
  return {
    timeMs,
    durationMs: 20.125,
    routeName: 'orders',
    upstream: 'of-route',
    release: '1.4.1',
    target: `10.0.0.${5 + (index % 3)}:9001`,
    attempts: 1,
    method: index % 5 === 0 ? 'POST' : 'GET',
    host: 'shop.example.com',
    path: `/route/{${1 + (index % 4)} digits}`,
    query: index % 7 === 0 ? 'present' : 'absent',
    status: 200,
    consumer: `consumer-${index % 40}`,
    tier: index % 4 === 0 ? 'pro' : 'free',
    clientNetwork: `192.0.${index % 25}.0/24`,
    userAgent: index % 3 === 0 ? 'Firefox' : 'okhttp 4',
    protocol: '1.1',
    tls: 'TLSv1.3',
    contentType: 'application/json',
    requestSize: '64-256 B',
    responseSize: '1-4 KiB',
    headers: ['accept-encoding', 'accept-language', 'authorization', 'traceparent'],
  }
}

function traceIdOf(route: string, index: number): string {
  return Buffer.from(`${route} ${index}`).toString('hex').padEnd(32, '0').slice(0, 32)
}

function exemplarsOf(route: string, onsetMs: number): object[] {
  return Array.from({ length: REPLICAS }, (_, replica) => ({
    seriesLabels: { instance: `replica${replica}`, http_route: route, le: '0.1' },
    exemplars: Array.from({ length: 5 }, (_unused, index) => ({
      labels: { trace_id: traceIdOf(route, replica * 5 + index) },
      value: '0.0184',
      timestamp: onsetMs / 1_000 + replica + index,
    })),
  }))
}

function listOf(route: string, onsetMs: number): string {
  const traces = Array.from({ length: 20 }, (_, index) => ({
    traceId: traceIdOf(`good ${route}`, index),
    time: new Date(onsetMs + index).toISOString(),
    durationMs: 18.4,
    method: 'GET',
    path: `${route}/17`,
    route,
    status: 200,
    cause: 'sampled',
  }))
  return JSON.stringify({ traces })
}

/** The gateway's own spans of a proxied request, and those of services behind it. */
function traceOf(traceId: string, onsetMs: number): string {
  const isGood = Buffer.from(traceId, 'hex').toString().startsWith('good')
  const spans = Array.from({ length: SPANS }, (_, index) => ({
    traceId,
    spanId: `${index}`.padStart(16, '0'),
    ...(index > 0 && { parentSpanId: `${index - 1}`.padStart(16, '0') }),
    name: 'GET /orders/{id}',
    kind: index % 2 === 0 ? 2 : 3,
    startTimeUnixNano: `${onsetMs + index}000000`,
    endTimeUnixNano: `${onsetMs + 20 - index}000000`,
    status: { code: isGood ? 0 : 2 },
    attributes: Object.entries({
      ...(index === 0 && { 'gateway.outcome': isGood ? 'ok' : 'fault', 'gateway.reason': 'connection_refused' }),
      'http.request.method': 'GET',
      'url.path': '/orders/17',
      'http.response.status_code': isGood ? '200' : '502',
      'server.address': '10.0.0.7',
      'network.peer.address': '10.0.0.7',
      'user_agent.original': 'okhttp/4.12.0',
      'gateway.upstream.name': 'orders',
    }).map(([key, stringValue]) => ({ key, value: { stringValue } })),
  }))
  return JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] })
}
