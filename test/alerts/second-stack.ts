import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { askRedis } from '../support/ask-redis'
import { freePort } from '../support/free-port'
import { startMailServer } from '../support/mail-server'
import { newTraceId, sendSpans } from '../support/otlp-send'
import { startAlerting } from '../support/start-alerting'
import { startCollector } from '../support/start-collector'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis } from '../support/start-redis'
import { startUpstream } from '../support/start-upstream'
import { startSlack } from './refusing-slack'
import { FACTOR, type Scenario, type Stack } from './scenario'
import { behave, keepSending } from './traffic'

/** Alerts whose causes would take evidence or the end from other alerts, if both were in one stack. */
export const OF_SECOND_STACK: readonly string[] = [
  'GatewayRouteUnavailable',
  'GatewayCanaryWorseThanStable',
  'GatewayCanarySlowerThanStable',
  'GatewayConfigurationsDiffer',
  'GatewayTelemetryIncomplete',
  'RedisFragmentationHigh',
  'CollectorQueueFilling',
  'PrometheusRuleFailures',
  'PrometheusExemplarsMissing',
  'AlertReceiverFailing',
  'IncidentHandoverFailing',
  'IncidentEvidencePartial',
]

const OPS_TOKEN = 'token-of-the-ops-ports'
/** Compiled, this file is dist/test/alerts/second-stack.js. */
const UNKNOWN_IOREDIS = { NODE_OPTIONS: `--require ${join(__dirname, '../fixtures/unknown-ioredis.js')}` }
/** A rule that cannot be evaluated as soon as two targets have the same job. */
const FAILING_RULE = `
groups:
  - name: own
    rules:
      - record: own:up
        expr: label_replace(up, "job", "all", "", "") / on (job) label_replace(up, "job", "all", "", "")
`

/** Three gateways with the same file, two Alertmanagers, and an incident service that the gateways do not let in. */
export async function startSecondStack(isChosen: (alert: string) => boolean): Promise<Stack> {
  const upstream = await startUpstream(behave)
  let asked = 0
  const canary = await startUpstream((_, response) => response.writeHead(asked++ % 2 === 0 ? 500 : 200).end())
  const slow = await startUpstream((_, response) => void setTimeout(() => response.end(), 200))
  const redis = await startRedis(['--maxmemory', '8mb', '--maxmemory-policy', 'noeviction'])
  const large = await startRedis([
    '--maxmemory',
    '1gb',
    '--maxmemory-policy',
    'noeviction',
    '--enable-debug-command',
    'yes',
  ])
  const config = configuration(upstream.url, canary.url, slow.url)
  const env = { REDIS_URL: redis.url, OPS_TOKEN }
  const gateway = await startGateway({ config, env })
  const other = await startGateway({ config, env })
  const partOpsPort = await freePort()
  const startPart = async (more: NodeJS.ProcessEnv): Promise<RunningGateway> =>
    startGateway({ config, env: { ...env, OPS_PORT: `${partOpsPort}`, ...more } })
  const part = await startPart(isChosen('GatewayTelemetryIncomplete') ? UNKNOWN_IOREDIS : {})
  const collector = await startSlowCollector()
  const startedAt = Date.now()
  const slack = await startSlack()
  const mail = await startMailServer()
  const running = await startAlerting(
    {
      gateways: [gateway, other, part],
      redis,
      moreRedis: [large],
      collectors: [collector.address],
      secondAlertmanager: true,
      incidents: isChosen('IncidentEvidencePartial') ? {} : { OPS_TOKEN },
      factor: FACTOR,
    },
    { slack, mail },
  )
  const sending = (path: string, everyMs: number) => async () => keepSending(gateway.url + path, everyMs, 1)
  const reloadPrometheus = async (): Promise<unknown> => fetch(`${running.prometheusUrl}/-/reload`, { method: 'POST' })

  const about: Scenario[] = [
    {
      alert: 'GatewayRouteUnavailable',
      cause: 'every request to a rarely used route fails, a few in an hour',
      place: '/api/orders',
      provoke: async () => {
        const stop = keepSending(`${gateway.url}/api/orders/faults-100`, 20_000, 1)
        return async () => {
          await stop()
          await fetch(`${gateway.url}/api/orders/well`)
        }
      },
    },
    {
      alert: 'GatewayCanaryWorseThanStable',
      cause: 'half of the requests to a canary fail',
      place: '/shop',
      provoke: sending('/shop', 25),
    },
    {
      alert: 'GatewayCanarySlowerThanStable',
      cause: 'every request to a canary takes 200 ms',
      place: '/catalogue',
      provoke: async () => keepSending(`${gateway.url}/catalogue`, 25, 3),
      evidence: /Trace /,
    },
    {
      alert: 'GatewayConfigurationsDiffer',
      cause: 'one of two gateways has another gateway.yaml',
      provoke: async () => {
        writeFileSync(other.configFile, `${config}# another one\n`)
        return async () => writeFileSync(other.configFile, config)
      },
    },
    {
      alert: 'GatewayTelemetryIncomplete',
      cause: 'a version of ioredis that its instrumentation does not know',
      place: `127.0.0.1:${partOpsPort}`,
      fromStart: true,
      provoke: async () => async () => {
        await part.kill()
        await startPart({})
      },
    },
    {
      alert: 'RedisFragmentationHigh',
      cause: 'three of four keys are deleted, after Redis was full of them',
      provoke: async () => {
        await askRedis(large.url, async client => {
          await client.call('DEBUG', 'POPULATE', '400000', 'filler', '1000')
          await client.eval(DELETE_MOST, 0, '400000')
        })
        return async () => void (await askRedis(large.url, client => client.flushall()))
      },
    },
    {
      alert: 'CollectorQueueFilling',
      cause: 'the backend of the traces is slower than their traffic',
      provoke: collector.fill,
    },
    {
      alert: 'PrometheusRuleFailures',
      cause: 'a rule of one\u2019s own that matches several series with one',
      provoke: async () => {
        const file = join(running.folder, 'rules/own.yml')
        writeFileSync(file, FAILING_RULE)
        await reloadPrometheus()
        return async () => {
          rmSync(file)
          await reloadPrometheus()
        }
      },
    },
  ]
  // Alone, and for three routes: of the alerts that are investigated meanwhile, more than half must lack something.
  const partial: Scenario = {
    alert: 'IncidentEvidencePartial',
    cause: 'the incident service has no OPS_TOKEN, so it can open no trace',
    provoke: async () => {
      const stops = ['/spike', '/demo/spike', '/api/orders/spike'].map(path => keepSending(gateway.url + path, 50, 1))
      return async () => {
        await Promise.all(stops.map(async stop => stop()))
        await running.restartable.incidents.kill()
        await running.restartable.incidents.start(plan => ({ ...plan, env: { ...plan.env, OPS_TOKEN } }))
      }
    },
  }
  const killSecond = togetherOnce(
    ['AlertReceiverFailing', 'IncidentHandoverFailing'].filter(isChosen).length,
    async () => running.restartable.secondAlertmanager.kill(),
    async () => running.restartable.secondAlertmanager.start(),
  )
  const receivers: Scenario[] = [
    { alert: 'AlertReceiverFailing', cause: 'one of two Alertmanagers is killed', provoke: killSecond },
    {
      alert: 'IncidentHandoverFailing',
      cause: 'one of two Alertmanagers is killed while there is evidence for it',
      provoke: async () => {
        const mend = await killSecond()
        const stop = keepSending(`${gateway.url}/spike`, 50, 1)
        return async () => {
          await stop()
          await mend()
        }
      },
    },
  ]
  const exemplars: Scenario = {
    alert: 'PrometheusExemplarsMissing',
    cause: 'Prometheus without --enable-feature=exemplar-storage',
    provoke: async () => {
      const { prometheus } = running.restartable
      await prometheus.kill()
      await prometheus.start(plan => ({ ...plan, args: plan.args.filter(arg => !arg.includes('exemplar-storage')) }))
      const stop = keepSending(`${gateway.url}/spike`, 50, 1)
      return async () => {
        await prometheus.kill()
        await prometheus.start()
        await delay(2_000)
        await stop()
      }
    },
  }
  return {
    slack,
    mail,
    incidentsUrl: running.incidentsUrl,
    startedAt,
    acts: [about, [partial], receivers, [exemplars]],
  }
}

/** One cause of several alerts: it begins with the first, and ends when `users` of them want it to. */
function togetherOnce(users: number, begin: () => Promise<void>, end: () => Promise<void>): Scenario['provoke'] {
  let begun: Promise<void> | undefined
  const ended = Promise.withResolvers<void>()
  let left = users
  return async () => {
    await (begun ??= begin())
    return async () => {
      left--
      if (left === 0) end().then(ended.resolve, ended.reject)
      return ended.promise
    }
  }
}

/** Deletes three of four keys that DEBUG POPULATE made: every page of the allocator keeps one. */
const DELETE_MOST = `
for i = 0, ARGV[1] - 1 do
  if i % 4 ~= 0 then redis.call('DEL', 'filler:' .. i) end
end`

/** Of 1,000: more than the 80 % of the alert. */
const QUEUED_SPANS = 930

interface SlowCollector {
  readonly address: string
  readonly fill: Scenario['provoke']
}

/** A Collector whose backend takes its time, so that a steady stream of spans keeps its queue nearly full. */
async function startSlowCollector(): Promise<SlowCollector> {
  let isSlow = true
  const backend = await startUpstream((request, response) => {
    request.resume()
    setTimeout(() => response.end(), isSlow ? 500 : 0)
  })
  const collector = await startCollector({
    env: { TRACES_EXPORTERS: '[otlp_http/vendor]', VENDOR_OTLP_ENDPOINT: backend.url },
    // A hundredth of what is shipped, sent in small requests, one at a time.
    overlays: [
      'exporters::otlp_http/vendor::sending_queue::queue_size: 1000',
      'exporters::otlp_http/vendor::sending_queue::num_consumers: 1',
      'exporters::otlp_http/vendor::sending_queue::batch::min_size: 50000',
      'exporters::otlp_http/vendor::sending_queue::batch::max_size: 100000',
    ],
  })
  /** Spans that the backend has taken. */
  const taken = async (): Promise<number> => collector.ownMetric('otelcol_exporter_sent_spans_total')
  return {
    address: new URL(collector.selfUrl).host,
    fill: async () => {
      const over = new AbortController()
      const filling = (async () => {
        let sent = 0
        while (!over.signal.aborted) {
          // Spans on their way to the queue count too: a queue that overflows is another alert.
          const room = QUEUED_SPANS - (sent - (await taken().catch(() => 0)))
          if (room > 0) {
            const spans = Array.from({ length: Math.min(room, 200) }, () => ({
              traceId: newTraceId(),
              error: true,
              attributes: { note: 'x'.repeat(4_000) },
            }))
            sent += spans.length
            await sendSpans(collector.url, spans).catch(() => undefined)
          }
          await delay(200)
        }
      })()
      return async () => {
        over.abort()
        await filling
        isSlow = false
      }
    },
  }
}

/** The routes with an slo are those of the shipped gateway.yaml, so that the shipped rules are theirs. */
function configuration(upstreamUrl: string, canaryUrl: string, slowUrl: string): string {
  return `
slo:
  availability: 99.9
  latency: { threshold: 300ms, target: 99 }
upstreams:
  demo: { targets: ['${upstreamUrl}'] }
  next: { targets: ['${canaryUrl}'] }
  slow: { targets: ['${slowUrl}'] }
routes:
  - { name: demo, match: { path: /demo }, upstream: demo }
  - { name: orders, match: { path: /api/orders }, upstream: demo }
  - { name: spike, match: { path: /spike }, upstream: demo, slo: false }
  - name: shop
    match: { path: /shop }
    slo: false
    split:
      variants:
        - { name: stable, upstream: demo, weight: 50 }
        - { name: canary, upstream: next, weight: 50 }
  - name: catalogue
    match: { path: /catalogue }
    slo: false
    split:
      variants:
        - { name: stable, upstream: demo, weight: 50 }
        - { name: canary, upstream: slow, weight: 50 }
`
}
