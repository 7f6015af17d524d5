import assert from 'node:assert/strict'
import { needs } from '../support/needs'
import { until } from '../support/until'
import { fired, keyOf, startAlertmanager, type RunningAlertmanager } from './start-alertmanager'

const route = { job: 'myesi-api', http_route: '/api/orders', gateway_upstream_name: 'orders' }
/** As the generated alerts have it. */
const budget = { job: 'myesi-api', http_route: '/api/orders', slo: 'availability' }
const redis = { job: 'redis', instance: 'redis-exporter:9121' }
const collector = { job: 'otel-collector', instance: 'otel-collector:8888', exporter: 'otlp_http/vendor' }
const gateway = { job: 'myesi-api', instance: 'gateway:9464' }

/** What fires, what follows from it and is not told, and what is told all the same. */
const CASES = [
  {
    title: 'a page about a route says it all about its faults, and nothing about others or other symptoms',
    source: fired('GatewayHttp500Spike', route),
    silenced: [fired('GatewayRequestsFailing', route)],
    told: [
      fired('GatewayRequestsFailing', { ...route, http_route: '/api/users' }),
      fired('GatewayRateLimitSurge', route),
      fired('GatewayLatencyHigh', { job: 'myesi-api', http_route: '/api/orders' }),
    ],
  },
  {
    title: 'a spike is the page about its faults, and what it does to the error budget is none',
    source: fired('GatewayHttp500Spike', route),
    silenced: [
      fired('GatewayErrorBudgetBurnFast', budget),
      fired('GatewayErrorBudgetBurnSlow', budget),
      fired('GatewayRouteUnavailable', budget),
    ],
    told: [
      fired('GatewayErrorBudgetBurnFast', { ...budget, http_route: '/api/users' }),
      fired('GatewayLatencyBudgetBurnFast', { ...budget, slo: 'latency' }),
    ],
  },
  {
    title: 'faults that are too few for a spike are one page, about the error budget',
    source: fired('GatewayErrorBudgetBurnFast', budget),
    silenced: [fired('GatewayRequestsFailing', route), fired('GatewayErrorBudgetBurnSlow', budget)],
    told: [fired('GatewayRequestsFailing', { ...route, http_route: '/api/users' })],
  },
  {
    title: 'slow requests are one page, about the error budget',
    source: fired('GatewayLatencyBudgetBurnFast', { ...budget, slo: 'latency' }),
    silenced: [fired('GatewayLatencyHigh', { job: 'myesi-api', http_route: '/api/orders' })],
    told: [fired('GatewayErrorBudgetBurnFast', budget)],
  },
  {
    title: 'without Redis the gateway counts by itself, which is no second message; what users feel is',
    source: fired('RedisDown', redis),
    silenced: [
      fired('GatewayRateLimitDegraded', gateway),
      fired('RedisMemoryHigh', redis),
      fired('RedisConnectionsHigh', redis),
    ],
    told: [
      fired('GatewayHttp500Spike', { ...route, http_route: '/api/closed' }),
      fired('RedisMemoryHigh', { ...redis, instance: 'other:9121' }),
    ],
  },
  {
    title: 'a Redis that refuses writes is the message, not that limits are counted without it',
    source: fired('RedisPersistenceFailing', redis),
    silenced: [fired('GatewayRateLimitDegraded', gateway)],
    told: [fired('RedisMemoryHigh', redis), fired('GatewayConfigReloadRefused', gateway)],
  },
  {
    title: 'a replica that refused the new file is the message, not that the others have it',
    source: fired('GatewayConfigReloadRefused', gateway),
    silenced: [fired('GatewayConfigurationsDiffer', { job: 'myesi-api' })],
    told: [fired('GatewayConfigurationsDiffer', { job: 'another' })],
  },
  {
    title: 'a part of a Redis Cluster that is not served is the message, not its consequences',
    source: fired('RedisClusterBroken', redis),
    silenced: [fired('GatewayRateLimitDegraded', gateway), fired('RedisLatencyHigh', gateway)],
    told: [fired('RedisReplicationBroken', redis)],
  },
  {
    title: 'a Redis that evicts is full, which is no second message',
    source: fired('RedisEvicting', redis),
    silenced: [fired('RedisMemoryHigh', redis)],
    told: [fired('RedisMemoryHigh', { ...redis, instance: 'other:9121' })],
  },
  {
    title: 'a gateway with a late event loop sees Redis late, and only that gateway',
    source: fired('GatewayEventLoopLate', gateway),
    silenced: [fired('RedisLatencyHigh', gateway)],
    told: [fired('RedisLatencyHigh', { ...gateway, instance: 'other:9464' })],
  },
  {
    title: 'a gateway that sheds has a late event loop, which is no second message',
    source: fired('GatewayShedding', gateway),
    silenced: [fired('GatewayEventLoopLate', gateway)],
    told: [fired('GatewayEventLoopLate', { ...gateway, instance: 'other:9464' })],
  },
  {
    title: 'a gateway that keeps restarting comes and goes, which is no second message',
    source: fired('GatewayRestarting', gateway),
    silenced: [fired('TargetDown', gateway)],
    told: [fired('TargetDown', { ...gateway, instance: 'other:9464' })],
  },
  {
    title: 'a backend that takes nothing fills the queue of its exporter, and no other',
    source: fired('CollectorBackendFailing', collector),
    silenced: [fired('CollectorQueueFilling', collector)],
    told: [fired('CollectorQueueFilling', { ...collector, exporter: 'other' }), fired('CollectorDropping', collector)],
  },
  {
    title: 'a Collector that refuses is the message, not that gateways lose telemetry',
    source: fired('CollectorRefusing', { job: 'otel-collector', instance: 'otel-collector:8888', receiver: 'otlp' }),
    silenced: [fired('GatewayTelemetryLost', gateway)],
    told: [fired('CollectorDropping', collector)],
  },
  {
    title: 'connections that are refused are more than connections that become few',
    source: fired('RedisRejectedConnections', redis),
    silenced: [fired('RedisConnectionsHigh', redis)],
    told: [fired('RedisMemoryHigh', redis), fired('RedisConnectionsHigh', { ...redis, instance: 'other:9121' })],
  },
  {
    title: 'an incident service that takes no alerts is one message, and another target that is down a second one',
    source: fired('IncidentReceiverFailing', { job: 'prometheus', instance: 'localhost:9090' }),
    silenced: [fired('TargetDown', { job: 'incidents', instance: 'incidents:9095' })],
    told: [fired('TargetDown', redis)],
  },
  {
    title: 'no gateway at all means that none of its targets is up',
    source: fired('GatewayAbsent', { job: 'myesi-api' }),
    silenced: [fired('TargetDown', gateway)],
    told: [fired('TargetDown', redis)],
  },
  {
    title: 'a gateway that has too much to do, a file that it refused and a certificate are three pieces of news',
    source: fired('GatewayShedding', gateway),
    silenced: [],
    told: [
      fired('GatewayConfigReloadRefused', gateway),
      fired('GatewayCertificateExpiring', gateway),
      fired('GatewayLatencyHigh', { job: 'myesi-api', http_route: '/api/orders' }),
    ],
  },
]

describe('Alertmanager with the shipped configuration', function () {
  // A program of its own for each of them, on a machine that may be busy.
  this.timeout(60_000)

  let alertmanager: RunningAlertmanager

  before(needs('alertmanager'))

  beforeEach(async () => {
    // Nobody listens at these addresses: what is told is not of interest here.
    alertmanager = await startAlertmanager({ slackUrl: 'http://127.0.0.1:9/', mailPort: 9 })
  })

  afterEach(() => alertmanager.stop())

  for (const { title, source, silenced, told } of CASES) {
    it(title, async () => {
      await alertmanager.post([source, ...silenced, ...told].map(labels => ({ labels })))
      const states = await until(
        async () => {
          const now = await alertmanager.states()
          const isThere = [source, ...told].every(labels => now.has(keyOf(labels)))
          return isThere && silenced.every(labels => now.get(keyOf(labels)) === 'suppressed') && now
        },
        { what: `${silenced.map(({ alertname }) => alertname).join(', ') || 'nothing'} silenced` },
      )
      for (const labels of [source, ...told]) assert.equal(states.get(keyOf(labels)), 'active', labels['alertname'])
    })
  }
})
