import type { Alert, Labels } from '../../../../src/incidents/alerts/alert'
import type { Evidence, ProvingTrace } from '../../../../src/incidents/evidence/evidence'

export const NOW = Date.parse('2026-11-23T16:00:00Z')

/** An alert of the shipped rules, with other labels where they are given. */
export function alertOf(labels: Labels = {}, more: Partial<Alert> = {}): Alert {
  return {
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
    annotations: { summary: 'Many requests fail' },
    startsAt: new Date(NOW).toISOString(),
    endsAt: undefined,
    generatorURL: 'http://prometheus:9090/graph?g0.expr=1',
    ...more,
  }
}

export function evidenceOf(more: Partial<Evidence> = {}): Evidence {
  return {
    window: { startMs: NOW - 300_000, endMs: NOW },
    signatures: [],
    statuses: [],
    load: undefined,
    traces: [],
    firstBadMs: undefined,
    lastGoodMs: undefined,
    changes: [],
    curve: undefined,
    limitedClients: [],
    missing: [],
    ...more,
  }
}

/** A trace that was opened, of as many spans as asked for. */
export function traceOf(more: Partial<ProvingTrace> = {}, spans = 1): ProvingTrace {
  return {
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    timeMs: NOW,
    durationMs: 12,
    method: 'GET',
    path: '/orders/17',
    route: '/orders',
    upstream: 'orders',
    status: '502',
    reason: 'connect_refused',
    source: 'http://10.0.0.1:9464',
    spans: Array.from({ length: spans }, (_, index) => ({
      spanId: String(index),
      parentSpanId: undefined,
      service: 'myesi-api',
      name: 'GET',
      kind: 'client',
      startMs: NOW,
      durationMs: 1,
      isError: true,
      attributes: { 'server.address': '10.0.0.7' },
      exception: 'connect ECONNREFUSED 10.0.0.7:9001',
    })),
    ...more,
  }
}
