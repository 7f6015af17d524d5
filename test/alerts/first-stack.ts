import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { askRedis } from '../support/ask-redis'
import { createAuthority } from '../support/certificates'
import { startDelayingProxy } from '../support/delaying-proxy'
import { freePort } from '../support/free-port'
import { startMailServer } from '../support/mail-server'
import { startAlerting } from '../support/start-alerting'
import { startGateway } from '../support/start-gateway'
import { startRedis } from '../support/start-redis'
import { startUpstream } from '../support/start-upstream'
import { startCollectorBench } from './collector-scenarios'
import { startProcessBench } from './process-scenarios'
import { startRedisBench } from './redis-scenarios'
import { startSlack } from './refusing-slack'
import { FACTOR, type Scenario, type Stack } from './scenario'
import { behave, holdConnections, keepSending } from './traffic'

/** What a ticket of the error budget needs to end: its short window of six hours. */
const TICKET_END = '864: not waited for, promtool sees it end'

/** Three gateways, Redis servers, Collectors, Prometheus, Alertmanager and the incident service: for nearly all alerts. */
export async function startFirstStack(isChosen: (alert: string) => boolean): Promise<Stack> {
  const upstream = await startUpstream(behave)
  const deadPort = await freePort()
  const redis = await startRedis(['--maxmemory', '8mb', '--maxmemory-policy', 'noeviction', '--maxclients', '60'])
  const ownRedis = await startRedis()
  const ownProxy = await startDelayingProxy(ownRedis.port)
  const config = configuration(upstream.url, deadPort)
  const gateway = await startGateway({ config, env: { REDIS_URL: redis.url } })
  const authority = createAuthority('Alerts')
  const certificate = authority.issue('localhost')
  const tls = { entrypoint: { tls: { cert: certificate.certFile, key: certificate.keyFile } } }
  const second = await startGateway({
    config: JSON.stringify({ ...secondConfiguration(upstream.url), entrypoint: { overload: { maxRequests: 1 } } }),
    env: {
      REDIS_URL: ownProxy.url,
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}`,
      OTEL_EXPORTER_OTLP_TIMEOUT: '500',
      OTEL_BSP_SCHEDULE_DELAY: '200',
      OTEL_LOGS_EXPORTER: 'none',
    },
  })
  const third = await startGateway({
    config: JSON.stringify({ ...secondConfiguration(upstream.url), ...tls, slo: { availability: 98 } }),
  })
  const redisBench = await startRedisBench()
  const collectorBench = await startCollectorBench()
  const processBench = await startProcessBench(upstream.url)
  const startedAt = Date.now()
  const slack = await startSlack()
  const mail = await startMailServer()
  const running = await startAlerting(
    {
      gateways: [gateway, second, third, ...processBench.gateways()],
      redis,
      moreRedis: redisBench.servers,
      collectors: collectorBench.targets,
      factor: FACTOR,
      incidents: {},
    },
    { slack, mail },
  )

  const sending =
    (path: string, everyMs: number, parallel = 1, base = gateway.url) =>
    async () => {
      const stop = keepSending(base + path, everyMs, parallel)
      return async () => stop()
    }
  /** One load for two alerts about the same route: it ends when both have been told. */
  const shared = (path: string, parallel: number, users: readonly string[]): Scenario['provoke'] => {
    let stop: (() => Promise<void>) | undefined
    let left = users.filter(isChosen).length
    return async () => {
      stop ??= keepSending(gateway.url + path, 40, parallel)
      return async () => {
        left--
        if (left === 0) await stop?.()
      }
    }
  }
  const onDemo = shared('/demo/faults-3/slow-20', 3, ['GatewayErrorBudgetBurnFast', 'GatewayLatencyBudgetBurnFast'])
  const onOrders = shared('/api/orders/faults-0.45/slow-4.5', 4, [
    'GatewayErrorBudgetBurnSlow',
    'GatewayLatencyBudgetBurnSlow',
  ])
  const traces = /Trace <[^|>]+#trace-[0-9a-f]{32}\|/
  const requests: Scenario[] = [
    {
      alert: 'GatewayHttp500Spike',
      place: '/spike',
      cause: 'the upstream answers half of the requests with 500',
      provoke: sending('/spike', 50),
      evidence: traces,
    },
    {
      alert: 'GatewayRequestsFailing',
      place: '/leak',
      cause: 'the upstream answers 3 % of the requests with 500',
      provoke: sending('/leak', 30, 3),
      evidence: traces,
    },
    {
      alert: 'GatewayErrorBudgetBurnFast',
      place: '/demo',
      cause: '3 % of the requests fail, 0.1 % may',
      provoke: onDemo,
      evidence: /the objective is [\d.]+%/,
    },
    {
      alert: 'GatewayErrorBudgetBurnSlow',
      place: '/api/orders',
      cause: '0.45 % of the requests fail, 0.1 % may',
      provoke: onOrders,
      evidence: /the objective is [\d.]+%/,
      end: TICKET_END,
    },
    {
      alert: 'GatewayLatencyHigh',
      place: '/very-slow',
      cause: 'the upstream needs 1.2 s',
      provoke: sending('/very-slow', 100, 12),
      evidence: traces,
    },
    {
      alert: 'GatewayRequestsRefused',
      place: '/guarded',
      cause: 'a client without an API key',
      provoke: sending('/guarded', 50),
      evidence: /unauthenticated|without|credentials/,
    },
    {
      alert: 'GatewayRateLimitSurge',
      place: '/limited',
      cause: 'a client that ignores its limit',
      provoke: sending('/limited', 50),
      evidence: /Most limited: [0-9a-f]{12}/,
    },
    {
      alert: 'GatewayShedding',
      cause: 'more requests at once than overload.maxRequests',
      provoke: sending('/slowly', 10, 6, second.url),
      evidence: /Load: /,
    },
    {
      alert: 'GatewayTelemetryLost',
      cause: 'the OTLP receiver does not run',
      provoke: sending('/ok', 500, 1, second.url),
    },
  ]
  const slow: Scenario[] = [
    {
      alert: 'GatewayLatencyBudgetBurnFast',
      place: '/demo',
      cause: '20 % of the requests take more than 300 ms, 1 % may',
      provoke: onDemo,
      evidence: /the objective is [\d.]+%/,
    },
    {
      alert: 'GatewayLatencyBudgetBurnSlow',
      place: '/api/orders',
      cause: '4.5 % of the requests take more than 300 ms, 1 % may',
      provoke: onOrders,
      evidence: /the objective is [\d.]+%/,
      end: TICKET_END,
    },
  ]
  /** Ends the third gateway for good, once every alert about it has arrived; its target goes with it. */
  const { promise: thirdIsGone, resolve: goneThird } = Promise.withResolvers<void>()
  const forgetThird = async (): Promise<void> => {
    const file = join(running.folder, 'prometheus.yml')
    const address = `, '127.0.0.1:${third.opsPort}'`
    writeFileSync(file, readFileSync(file, 'utf8').replace(address, ''))
    await fetch(`${running.prometheusUrl}/-/reload`, { method: 'POST' })
  }
  const onThird = ['GatewayCertificateExpiring', 'GatewaySloRulesOutdated', 'GatewayCertificateRefused']
  let leftOnThird = onThird.filter(isChosen).length
  const doneWithThird = Promise.withResolvers<void>()
  if (leftOnThird === 0) doneWithThird.resolve()
  /** Ends the third gateway, or waits until TargetDown has killed it. */
  const endThird = async (): Promise<void> => {
    leftOnThird--
    if (leftOnThird === 0) doneWithThird.resolve()
    if (isChosen('TargetDown')) return thirdIsGone
    await doneWithThird.promise
    await third.kill()
    await forgetThird()
  }
  const states: Scenario[] = [
    {
      alert: 'GatewayUpstreamTargetOut',
      cause: 'one of two targets does not run',
      fromStart: true,
      provoke: async () => async () => void (await startUpstream(behave, { port: deadPort })),
    },
    {
      alert: 'GatewayConfigReloadRefused',
      cause: 'a mistake in gateway.yaml',
      provoke: async () => {
        const good = readFileSync(second.configFile, 'utf8')
        writeFileSync(second.configFile, 'upstreams: nonsense')
        return async () => writeFileSync(second.configFile, `${good}\n`)
      },
    },
    {
      alert: 'GatewaySloRulesOutdated',
      cause: 'a gateway with another slo than the rules',
      fromStart: true,
      provoke: async () => endThird,
    },
    {
      alert: 'GatewayCertificateExpiring',
      cause: 'a certificate of one day',
      fromStart: true,
      provoke: async () => endThird,
    },
    {
      alert: 'GatewayCertificateRefused',
      cause: 'the new key does not fit the certificate',
      place: `127.0.0.1:${third.opsPort}`,
      provoke: async () => {
        const good = readFileSync(certificate.keyFile, 'utf8')
        writeFileSync(certificate.keyFile, readFileSync(authority.issue('localhost').keyFile))
        return async () => writeFileSync(certificate.keyFile, good)
      },
      afterEnd: async () => {
        leftOnThird--
        if (leftOnThird === 0) doneWithThird.resolve()
      },
    },
    {
      alert: 'GatewayRateLimitDegraded',
      cause: 'a gateway cannot reach its Redis',
      place: `127.0.0.1:${second.opsPort}`,
      provoke: async () => {
        await ownRedis.kill()
        return async () => ownRedis.startAgain()
      },
    },
    {
      alert: 'TargetDown',
      cause: 'a gateway of several is killed',
      place: `127.0.0.1:${third.opsPort}`,
      ready: async () => doneWithThird.promise,
      provoke: async () => {
        await third.kill()
        goneThird()
        return forgetThird
      },
    },
  ]
  const path: Scenario[] = [
    {
      alert: 'PrometheusConfigReloadFailed',
      cause: 'a mistake in prometheus.yml',
      provoke: async () => {
        const file = join(running.folder, 'prometheus.yml')
        appendFileSync(file, '\nnonsense: true\n')
        await fetch(`${running.prometheusUrl}/-/reload`, { method: 'POST' })
        return async () => {
          writeFileSync(file, readFileSync(file, 'utf8').replace('\nnonsense: true\n', ''))
          await fetch(`${running.prometheusUrl}/-/reload`, { method: 'POST' })
        }
      },
    },
    {
      alert: 'AlertmanagerConfigReloadFailed',
      cause: 'a mistake in alertmanager.yml',
      provoke: async () => {
        const file = join(running.folder, 'alertmanager.yml')
        const good = readFileSync(file, 'utf8')
        appendFileSync(file, '\nnonsense: true\n')
        await fetch(`${running.alertmanagerUrl}/-/reload`, { method: 'POST' })
        return async () => {
          writeFileSync(file, good)
          await fetch(`${running.alertmanagerUrl}/-/reload`, { method: 'POST' })
        }
      },
    },
    {
      alert: 'RedisConnectionsHigh',
      cause: '55 of 60 connections are taken',
      provoke: async () => {
        const stop = holdConnections(redis.port, 50)
        return async () => stop()
      },
    },
    {
      alert: 'RedisMemoryHigh',
      cause: 'Redis is nearly full',
      provoke: async () => {
        await askRedis(redis.url, client =>
          Promise.allSettled(
            Array.from({ length: 80 }, async (_, i) => client.set(`filler:${i}`, 'x'.repeat(100_000))),
          ),
        )
        return async () => void (await askRedis(redis.url, client => client.flushall()))
      },
    },
  ]
  const afterwards: Scenario[] = [
    {
      alert: 'AlertmanagerNotificationsFailing',
      cause: 'Slack refuses every message',
      byMail: true,
      provoke: async () => {
        slack.refuses = true
        const stop = keepSending(`${gateway.url}/spike`, 50, 1)
        return async () => {
          slack.refuses = false
          await stop()
        }
      },
    },
  ]
  const rejected: Scenario[] = [
    {
      alert: 'RedisRejectedConnections',
      cause: 'more clients than maxclients',
      provoke: async () => {
        // A moment: were it longer, redis_exporter could not connect either, and RedisDown would say it all.
        const stop = holdConnections(redis.port, 80)
        await delay(300)
        await stop()
        return async () => undefined
      },
    },
  ]
  const evidence: Scenario[] = [
    {
      alert: 'IncidentReceiverFailing',
      cause: 'the incident service is killed while an alert fires',
      end: 'not waited for: the service does not come back in this run',
      provoke: async () => {
        await running.incidents?.kill()
        const stop = keepSending(`${gateway.url}/spike`, 50, 1)
        // Then Prometheus has something to hand over, and nothing any more once that alert has ended.
        return async () => stop()
      },
    },
  ]
  const slowRedis: Scenario[] = [
    {
      alert: 'RedisLatencyHigh',
      cause: 'the way to Redis takes 40 ms',
      place: `127.0.0.1:${second.opsPort}`,
      provoke: async () => {
        ownProxy.delayMs = 40
        const stop = keepSending(`${second.url}/ok`, 50, 1)
        return async () => {
          ownProxy.delayMs = 0
          await stop()
        }
      },
    },
  ]
  const down: Scenario[] = [
    {
      alert: 'RedisDown',
      cause: 'Redis is killed',
      provoke: async () => {
        await redis.kill()
        return async () => redis.startAgain()
      },
    },
    {
      alert: 'GatewayAbsent',
      cause: 'every gateway is killed',
      provoke: async () => {
        await Promise.all([gateway.kill(), second.kill(), third.kill(), processBench.kill()])
        return async () => processBench.startAgain()
      },
    },
  ]
  return {
    slack,
    mail,
    incidentsUrl: running.incidentsUrl,
    startedAt,
    acts: [
      [...requests, ...slow, ...states, ...path, ...redisBench.scenarios],
      [...processBench.scenarios.slice(0, 4), ...slowRedis, ...(collectorBench.acts[0] ?? [])],
      [...processBench.scenarios.slice(4), ...(collectorBench.acts[1] ?? [])],
      ...redisBench.silencing.map(scenario => [scenario]),
      rejected,
      afterwards,
      evidence,
      ...down.map(scenario => [scenario]),
    ],
  }
}

/** The routes with an slo are those of the shipped gateway.yaml, so that the shipped rules are theirs. */
function configuration(upstreamUrl: string, deadPort: number): string {
  return `
slo:
  availability: 99.9
  latency: { threshold: 300ms, target: 99 }
upstreams:
  demo: { targets: ['${upstreamUrl}'] }
  pair: { targets: ['${upstreamUrl}', 'http://127.0.0.1:${deadPort}'], healthCheck: { path: /, interval: 1s } }
consumers: { someone: { apiKeys: ['sha256:${'0'.repeat(64)}'] } }
routes:
  - { name: demo, match: { path: /demo }, upstream: demo }
  - { name: orders, match: { path: /api/orders }, upstream: demo }
  - { name: spike, match: { path: /spike }, upstream: demo, slo: false }
  - { name: leak, match: { path: /leak }, upstream: demo, slo: false }
  - { name: very-slow, match: { path: /very-slow }, upstream: demo, slo: false }
  - { name: guarded, match: { path: /guarded }, upstream: demo, slo: false, auth: { apiKey: {} } }
  - { name: limited, match: { path: /limited }, upstream: demo, slo: false, rateLimit: { limit: 5, window: 1h } }
  - { name: pair, match: { path: /pair }, upstream: pair, slo: false }
`
}

function secondConfiguration(upstreamUrl: string): object {
  return {
    upstreams: { other: { targets: [upstreamUrl] } },
    routes: [
      { name: 'ok', match: { path: '/ok' }, upstream: 'other', rateLimit: { limit: 1_000_000, window: '1h' } },
      { name: 'slowly', match: { path: '/slowly' }, upstream: 'other' },
    ],
  }
}
