import type { Curve } from '../../src/incidents/evidence/curve'
import type { ProvingTrace } from '../../src/incidents/evidence/evidence'
import type { TraceSpan } from '../../src/incidents/evidence/otlp-trace'
import type { Incident, IncidentAlert } from '../../src/incidents/record/incident'

/** When the incident of these tests began. */
export const BEGAN = Date.now() - 6 * 60_000
export const REPLICA = 'http://10.0.0.5:9464'

/** An incident as the chain writes it: two ways to fail on one route, one alert still firing and one that is over. */
export function incidentRecord(more: Partial<Incident> = {}): Incident {
  return {
    id: `${(BEGAN + 60_000).toString(36)}-a7153375`,
    cause: 'upstream orders',
    title: 'GatewayHttp500Spike /orders (orders)',
    openedAtMs: BEGAN + 60_000,
    closedAtMs: undefined,
    alerts: [
      alertRecord(),
      alertRecord({ alertname: 'GatewayRequestsFailing', severity: 'warning' }, { endsAtMs: BEGAN + 300_000 }),
    ],
    ...more,
  }
}

export function alertRecord(labels: IncidentAlert['labels'] = {}, more: Partial<IncidentAlert> = {}): IncidentAlert {
  return {
    fingerprint: JSON.stringify(labels),
    labels: {
      alertname: 'GatewayHttp500Spike',
      component: 'gateway',
      family: 'faults',
      severity: 'critical',
      job: 'myesi-api',
      http_route: '/orders',
      gateway_upstream_name: 'orders',
      ...labels,
    },
    annotations: {
      summary: 'Many requests of a route end in a 5xx or a broken answer',
      description: '43.4% of the requests to /orders (upstream orders) failed within 2 minutes.',
      runbook_url: 'monitoring/runbooks/GatewayHttp500Spike.md',
      dashboard_url: '/d/myesi-gateway?var-route=%2Forders',
      exemplar_query: 'http_server_request_duration_seconds_bucket{http_route="/orders",error_type!=""}',
    },
    generatorURL: 'http://prometheus:9090/graph?g0.expr=rate&g0.tab=1',
    startsAtMs: BEGAN + 60_000,
    endsAtMs: undefined,
    evidence: {
      window: { startMs: BEGAN - 240_000, endMs: BEGAN + 62_000 },
      signatures: [
        { ...FAILED, reason: 'upstream_5xx', message: undefined, count: 12, total: 40 },
        { ...FAILED, reason: 'reset', message: 'other side closed after <n> bytes', count: 28, total: 40 },
      ],
      statuses: [
        { status: '502', count: 28, total: 92 },
        { status: '503', count: 12, total: 92 },
      ],
      load: undefined,
      comparison: {
        differences: [
          {
            dimension: 'target',
            value: '10.0.0.7:9001',
            alsoKnownAs: [{ dimension: 'release', value: '1.4.2' }],
            failingShare: 0.95,
            goodShare: 0.32,
            pValue: 1e-9,
            failingCount: 38,
            shareBefore: 0.33,
            newSinceMs: undefined,
          },
        ],
        failing: 40,
        sampled: 40,
        good: 250,
        goodAre: 'of the same time',
      },
      goodTrace: goodTraceRecord(),
      traces: [
        traceRecord('4bf92f3577b34da6a3ce929d0e0e4736', BEGAN + 20_000, 'upstream_5xx', '503'),
        traceRecord('0af7651916cd43dd8448eb211c80319c', BEGAN, 'reset', '502'),
        {
          ...traceRecord('c0ffee1916cd43dd8448eb211c80319c', BEGAN + 30_000, 'reset', '502'),
          source: undefined,
          spans: [],
        },
      ],
      firstBadMs: BEGAN,
      lastGoodMs: BEGAN - 9_000,
      changes: [{ timeMs: BEGAN - 70_000, what: 'release 1.4.2 began on 10.0.0.5:9464' }],
      curve: CURVE,
      limitedClients: [],
      missing: ['traces: some could not be opened'],
    },
    ...more,
  }
}

const FAILED = { route: '/orders', upstream: 'orders', target: '10.0.0.7:9001' }

const CURVE: Curve = {
  what: 'failed requests, /orders',
  unit: 'per second',
  startMs: BEGAN - 300_000,
  stepMs: 10_000,
  lines: [
    {
      name: 'failed requests',
      values: Array.from({ length: 37 }, (_, index) => (index < 30 ? 0 : (index - 29) * 0.4)),
    },
    { name: 'all requests', values: Array.from({ length: 37 }, (_, index) => (index < 3 ? null : 6 + (index % 3))) },
  ],
}

function goodTraceRecord(): ProvingTrace {
  const { spans, ...trace } = traceRecord('900d7651916cd43dd8448eb211c80319', BEGAN + 10_000, 'reset', '200')
  const good = spans.map(span => ({ ...span, isError: false, exception: undefined, durationMs: span.durationMs / 3 }))
  return { ...trace, reason: undefined, durationMs: trace.durationMs / 3, spans: good }
}

function traceRecord(traceId: string, timeMs: number, reason: string, status: string): ProvingTrace {
  const attributes = {
    'http.request.method': 'POST',
    'http.route': '/orders',
    'url.path': '/orders/17',
    'gateway.upstream.name': 'orders',
    'http.response.status_code': status,
    'error.type': reason,
  }
  const server: TraceSpan = {
    spanId: `${traceId.slice(0, 15)}1`,
    parentSpanId: undefined,
    service: 'myesi-api',
    name: 'POST /orders',
    kind: 'server',
    startMs: timeMs,
    durationMs: 18.4,
    isError: true,
    attributes,
    exception: undefined,
  }
  const client: TraceSpan = {
    ...server,
    spanId: `${traceId.slice(0, 15)}2`,
    parentSpanId: server.spanId,
    name: 'POST',
    kind: 'client',
    startMs: timeMs + 1.2,
    durationMs: 16.9,
    attributes: { ...attributes, 'server.address': '10.0.0.7', 'server.port': '9001' },
    exception: reason === 'reset' ? 'other side closed after 512 bytes' : undefined,
  }
  const request = { method: 'POST', path: '/orders/17', route: '/orders', upstream: 'orders', status, reason }
  return { traceId, timeMs, durationMs: 18.4, ...request, source: REPLICA, spans: [server, client] }
}

/** The same with `text` in place of everything in it that comes from clients, upstreams or whoever writes rules. */
export function hostileRecord(text: string): Incident {
  const spoil = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') return KEPT.has(key) ? value : text
    if (Array.isArray(value)) return value.map(item => spoil(item, key))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [
        OPEN_SETS.has(key) && !KEPT.has(name) ? name + text : name,
        spoil(inner, name),
      ]),
    )
  }
  return spoil(incidentRecord(), '') as Incident
}

/** What decides which parts a page has, and what is checked before it gets into a record. */
const KEPT = new Set(['id', 'unit', 'kind', 'family', 'component', 'traceId', 'spanId', 'parentSpanId', 'endsAtMs'])
/** Whose names come from outside too. */
const OPEN_SETS = new Set(['attributes'])
