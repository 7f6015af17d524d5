import '../../tools/stack/require-node'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { processesAlive } from '../../tools/stack/managed-process'
import { ROOT, ruleFiles, alertsIn } from '../monitoring/monitoring-files'
import { askRedis } from '../support/ask-redis'
import { createAuthority } from '../support/certificates'
import { startDelayingProxy } from '../support/delaying-proxy'
import { freePort } from '../support/free-port'
import { startMailServer } from '../support/mail-server'
import type { SlackMessage } from '../support/slack-stand-in'
import { startAlerting } from '../support/start-alerting'
import { startGateway } from '../support/start-gateway'
import { startRedis } from '../support/start-redis'
import { bodyOf, startUpstream, stopUpstreams } from '../support/start-upstream'
import { removeTemporaryFolders } from '../support/temporary-folder'
import { until } from '../support/until'
import { startCollectorBench } from './collector-scenarios'
import { NOT_PROVOKED } from './not-provoked'
import { startProcessBench } from './process-scenarios'
import { startRedisBench } from './redis-scenarios'
import { ruleHash } from './rules-hash'
import type { Scenario } from './scenario'

/**
 * `npm run alerts:test`: provokes each alert by its true cause, with real programs and the shipped rules, until its message
 * has arrived and has resolved. Every duration of the rules, of Prometheus and of Alertmanager is divided by one factor,
 * nothing else is changed. Writes the table into docs/alerts-tested.md; exit code 1 when an alert did not come or did not end.
 */

const FACTOR = 25
const PAGE = join(ROOT, 'docs/alerts-tested.md')
const TO_MESSAGE_MS = 330_000
const TO_RESOLVED_MS = 300_000
/** What a ticket of the error budget needs to end: its short window of six hours. */
const TICKET_END = '864: not waited for, promtool sees it end'

interface Row {
  readonly alert: string
  readonly cause: string
  readonly toMessage: string
  readonly evidence: string
  readonly toResolved: string
  readonly failed: boolean
}

async function end(code: number): Promise<void> {
  await Promise.all(processesAlive().map(async child => child.kill()))
  await stopUpstreams()
  removeTemporaryFolders()
  process.exit(code)
}

async function main(): Promise<boolean> {
  const only = process.argv.slice(2)
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
  const runStartedAt = Date.now()
  const slack = await startSlack()
  const mail = await startMailServer()
  const running = await startAlerting(
    {
      gateways: [gateway, second, third, processBench.gateway],
      redis,
      moreRedis: redisBench.servers,
      collectors: collectorBench.targets,
      factor: FACTOR,
      incidents: {},
    },
    { slack, mail },
  )
  say(`Durations divided by ${FACTOR}. Prometheus: ${running.prometheusUrl}`)

  const messagesOf = (scenario: Scenario, state: 'firing' | 'resolved'): { title: string; text: string }[] => {
    const all = scenario.byMail
      ? mail.mails.map(({ subject = '', text = '' }) => ({ title: subject, text }))
      : slack.messages.map(({ title, text }) => ({ title, text }))
    return all.filter(({ title, text }) => {
      const isResolved = title.startsWith('[RESOLVED]')
      const names = title.includes(`] ${scenario.alert}`) && `${title} ${text}`.includes(scenario.place ?? '')
      return names && isResolved === (state === 'resolved')
    })
  }

  const rows: Row[] = []
  const run = async (scenario: Scenario): Promise<void> => {
    const { alert, cause } = scenario
    const before = scenario.fromStart ? 0 : messagesOf(scenario, 'firing').length
    const resolvedBefore = messagesOf(scenario, 'resolved').length
    const startedAt = scenario.fromStart ? runStartedAt : Date.now()
    let mend = async (): Promise<void> => undefined
    let toMessage = 'not told'
    let evidence = '-'
    let toResolved = '-'
    let failed = true
    try {
      mend = await scenario.provoke()
      const message = await until(() => messagesOf(scenario, 'firing')[before], {
        what: `the message of ${alert}`,
        timeoutMs: TO_MESSAGE_MS,
        intervalMs: 200,
      })
      toMessage = seconds(Date.now() - startedAt)
      const proven = scenario.evidence === undefined ? undefined : scenario.evidence.exec(message.text)?.[0]
      // The shortened group_wait is over before the evidence is there: then it is in the incident.
      const found =
        scenario.evidence === undefined || proven !== undefined || (await inIncident(running.incidentsUrl, scenario))
      evidence = proven ?? (scenario.evidence === undefined ? '-' : found ? 'in the incident' : 'missing')
      const mendedAt = Date.now()
      await mend()
      if (scenario.end === undefined) {
        await until(() => messagesOf(scenario, 'resolved')[resolvedBefore], {
          what: `the end of ${alert}`,
          timeoutMs: TO_RESOLVED_MS,
          intervalMs: 200,
        })
      }
      toResolved = scenario.end ?? seconds(Date.now() - mendedAt)
      failed = !found
    } catch (error) {
      say(`${alert}: ${error instanceof Error ? error.message.slice(0, 300) : String(error)}`)
      await mend().catch(() => undefined)
    }
    rows.push({ alert, cause, toMessage, evidence, toResolved, failed })
    say(`${failed ? 'FAILED' : 'ok'}  ${alert}: message ${toMessage}, resolved ${toResolved}`)
  }

  const sending =
    (path: string, everyMs: number, parallel = 1, base = gateway.url) =>
    async () => {
      const stop = keepSending(base + path, everyMs, parallel)
      return async () => stop()
    }
  /** One load for two alerts about the same route: it ends when both have been told. */
  const shared = (path: string, parallel: number, users: number): Scenario['provoke'] => {
    let stop: (() => Promise<void>) | undefined
    let left = users
    return async () => {
      stop ??= keepSending(gateway.url + path, 40, parallel)
      return async () => {
        left--
        if (left === 0) await stop?.()
      }
    }
  }
  const onDemo = shared('/demo/faults-3/slow-20', 3, 2)
  const onOrders = shared('/api/orders/faults-0.45/slow-4.5', 4, 2)
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
  const { promise: thirdIsGone, resolve: goneThird } = Promise.withResolvers<void>()
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
      provoke: async () => async () => thirdIsGone,
    },
    {
      alert: 'GatewayCertificateExpiring',
      cause: 'a certificate of one day',
      fromStart: true,
      provoke: async () => async () => thirdIsGone,
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
      provoke: async () => {
        // What it is needed for has been told.
        for (const alert of ['GatewayCertificateExpiring', 'GatewaySloRulesOutdated']) {
          await until(() => slack.messages.some(({ title }) => title.includes(`] ${alert}`)), {
            what: `the message of ${alert}`,
            timeoutMs: TO_MESSAGE_MS,
          })
        }
        await third.kill()
        goneThird()
        return async () => {
          const file = join(running.folder, 'prometheus.yml')
          const address = `, 127.0.0.1:${third.opsPort}`
          writeFileSync(file, readFileSync(file, 'utf8').replace(address, ''))
          await fetch(`${running.prometheusUrl}/-/reload`, { method: 'POST' })
        }
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
      cause: 'the last gateways are killed',
      end: 'not waited for: its gateways do not come back in this run',
      provoke: async () => {
        await Promise.all([gateway.kill(), second.kill()])
        return async () => undefined
      },
    },
  ]
  const chosen = (scenarios: readonly Scenario[]): readonly Scenario[] =>
    only.length === 0 ? scenarios : scenarios.filter(({ alert }) => only.includes(alert))
  const acts = [
    [...requests, ...slow, ...states, ...path, ...redisBench.scenarios],
    [...processBench.scenarios.slice(0, 3), ...slowRedis, ...(collectorBench.acts[0] ?? [])],
    [...processBench.scenarios.slice(3), ...(collectorBench.acts[1] ?? [])],
    ...redisBench.silencing.map(scenario => [scenario]),
    rejected,
    afterwards,
    evidence,
    down,
  ]
  const isWhole = only.length === 0
  for (const act of acts) {
    await Promise.all(chosen(act).map(run))
    // After each act, so that a run that is ended keeps what it has. Of single alerts only what passed is written down: the
    // rows of the others, and of those that failed, stay as they were.
    const found = isWhole ? rows : rows.filter(({ failed }) => !failed)
    const kept = isWhole ? [] : rowsOfLastRun().filter(({ alert }) => !found.some(row => row.alert === alert))
    writeFileSync(PAGE, document([...kept, ...found]))
  }
  return rows.some(({ failed }) => failed)
}

/** Whether the incident service has gathered evidence for the alert. */
async function inIncident(url: string, { alert, place }: Scenario): Promise<boolean> {
  const read = async (path: string): Promise<unknown> =>
    (await fetch(`${url}${path}`, { headers: { accept: 'application/json' } })).json()
  const look = async (): Promise<boolean> => {
    const { incidents } = (await read('/incidents')) as { incidents: { id: string }[] }
    for (const { id } of incidents) {
      const { alerts } = (await read(`/incidents/${id}`)) as {
        alerts: {
          labels: Record<string, string>
          evidence?: { traces: unknown[]; signatures: unknown[]; load?: object }
        }[]
      }
      const own = alerts.find(({ labels }) => {
        return labels['alertname'] === alert && JSON.stringify(labels).includes(place ?? '')
      })
      const { traces = [], signatures = [], load } = own?.evidence ?? {}
      if (traces.length + signatures.length > 0 || load !== undefined) return true
    }
    return false
  }
  return until(look, { what: `evidence of ${alert}`, timeoutMs: 20_000, intervalMs: 500 }).catch(() => false)
}

/** What the upstream does is in the path. */
const behave: RequestListener = (request, response) => {
  const url = request.url ?? ''
  // Every n-th request, so that the share holds from the first minute on.
  const isChosen = (kind: string): boolean => {
    const share = Number(new RegExp(`/${kind}-([\\d.]+)`).exec(url)?.[1] ?? 0) / 100
    const place = (countOf.get(url) ?? 0) + (kind === 'slow' ? 0.5 / (share || 1) : 0)
    return share > 0 && Math.floor(place * share) !== Math.floor((place - 1) * share)
  }
  countOf.set(url, (countOf.get(url) ?? 0) + 1)
  if (url.includes('/spike')) return void response.writeHead((countOf.get(url) ?? 0) % 2 === 0 ? 500 : 200).end()
  if (url.includes('/leak') && (countOf.get(url) ?? 0) % 33 === 0) return void response.writeHead(500).end()
  if (isChosen('faults')) return void response.writeHead(500).end()
  if (isChosen('slow')) return void setTimeout(() => response.end(), 400)
  if (url.includes('/very-slow')) return void setTimeout(() => response.end(), 1_200)
  if (url.includes('/slowly')) return void setTimeout(() => response.end(), 200)
  response.end()
}
const countOf = new Map<string, number>()

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

/** @returns what ends it, once the last answer is there */
function keepSending(url: string, everyMs: number, parallel: number): () => Promise<void> {
  const stopping = new AbortController()
  const sender = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await fetch(url)
        .then(async response => response.arrayBuffer())
        .catch(() => undefined)
      await delay(everyMs)
    }
  }
  const senders = Array.from({ length: parallel }, sender)
  return async () => {
    stopping.abort()
    await Promise.all(senders)
  }
}

/** Connections to Redis that are open and idle; those that it refuses are opened again. */
function holdConnections(port: number, number: number): () => Promise<void> {
  let isOver = false
  const sockets = new Set<Socket>()
  const open = (): void => {
    if (isOver) return
    const socket = connect(port, '127.0.0.1')
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => {
      sockets.delete(socket)
      if (!isOver) setTimeout(open, 1_000)
    })
  }
  for (let i = 0; i < number; i++) open()
  return async () => {
    isOver = true
    for (const socket of sockets) socket.destroy()
  }
}

/** Slack's webhook, which can be told to refuse. */
async function startSlack(): Promise<{
  url: string
  messages: SlackMessage[]
  refuses: boolean
  stop: () => Promise<void>
}> {
  const messages: SlackMessage[] = []
  const slack = { url: '', messages, refuses: false, stop: async (): Promise<void> => undefined }
  const server = createServer((request, response) => {
    void bodyOf(request).then(body => {
      if (slack.refuses) return response.writeHead(403).end('invalid_token')
      const { attachments } = JSON.parse(body.toString()) as {
        attachments: { title: string; text: string; color: string; title_link: string }[]
      }
      for (const { title, text, color, title_link: titleLink } of attachments)
        messages.push({ title, text, color, titleLink })
      return response.end('ok')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  slack.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/services/T0/B0/token`
  slack.stop = async () => {
    server.close()
    server.closeAllConnections()
  }
  return slack
}

/** Those whose rule has not changed since: `npm run alerts:test -- RedisDown` runs one of them again. */
function rowsOfLastRun(): Row[] {
  const page = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : ''
  const found = page.matchAll(/^\| (\w+) \| ([^|]+) \| ([^|]+) \| `([^|]+)` \| ([^|]+) \| `(\w+)` \|$/gm)
  return [...found]
    .filter(([, alert = '', , , , , hash]) => hash === ruleHash(alert))
    .map(([, alert = '', cause = '', toMessage = '', evidence = '', toResolved = '']) => {
      return { alert, cause, toMessage, evidence, toResolved, failed: false }
    })
}

function document(rows: readonly Row[]): string {
  const order = ruleFiles()
    .flatMap(alertsIn)
    .map(({ alert }) => alert)
  const sorted = rows.toSorted((a, b) => order.indexOf(a.alert) - order.indexOf(b.alert))
  const cell = (text: string): string => text.replaceAll('|', '\\|')
  return `# Alerts, provoked

Made by \`npm run alerts:test\`: each alert was provoked by its true cause, with real programs (gateways, Redis, redis_exporter, Prometheus,
Alertmanager, the incident service) and the shipped rules, until its message had arrived and had resolved. Every duration of rules,
Prometheus and Alertmanager was divided by ${FACTOR}, nothing else: multiply the seconds by that for an estimate of the real time. Rows can come from several runs:
\`npm run alerts:test -- RedisDown\` provokes one alert and replaces its row.

The last column is a hash of the alert's rule. A test fails when the rule has changed since.

| Alert | Cause | Seconds to the message | Evidence in it | Seconds to resolved | Rule |
|---|---|---|---|---|---|
${sorted.map(({ alert, cause, toMessage, evidence, toResolved }) => `| ${[alert, cause, toMessage, `\`${evidence.replace(/<.*$/, '')}\``, toResolved, `\`${ruleHash(alert)}\``].map(cell).join(' | ')} |`).join('\n')}

Not provoked until a message:

| Alert | Why |
|---|---|
${Object.entries(NOT_PROVOKED)
  .map(([alert, why]) => `| ${alert} | ${why} |`)
  .join('\n')}
`
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(0)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

// What it started ends with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end(1))

void main().then(
  failed => end(failed ? 1 : 0),
  async (error: unknown) => {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error))
    await end(1)
  },
)
