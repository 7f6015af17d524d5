import type { Alert, Labels } from '../../../../src/incidents/alerts/alert'
import type { Evidence } from '../../../../src/incidents/evidence/evidence'

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
