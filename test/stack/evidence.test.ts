import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../support/free-port'
import type { SlackMessage } from '../support/slack-stand-in'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis } from '../support/start-redis'
import { startUpstream } from '../support/start-upstream'
import { TracedClient } from '../support/traced-client'
import { until } from '../support/until'
import { withAlerting, type Told } from '../support/with-alerting'

const FACTOR = 12.5
/** The number of failures of each kind, chosen at random, so that no figure can be hard-coded. */
const FAILED = { refused: 20 + random(20), broken: 12 + random(8), answered: 11 + random(5) }

const LIMIT = 5

describe('the alert message with evidence', function () {
  this.timeout(110_000)
  const client = new TracedClient()
  let gateway: RunningGateway
  let lastFailedMs: number

  const alerting = withAlerting(async () => {
    const upstream = await startUpstream((request, response) => {
      if (request.url?.startsWith('/broken') === true) request.socket.destroy()
      else response.writeHead(request.url?.startsWith('/answered') === true ? 503 : 200).end()
    })
    const redis = await startRedis()
    const config = configuration(upstream.url, `http://127.0.0.1:${await freePort()}`)
    // At 1 %, almost none of these traces would be sampled by chance.
    const sampling = { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.01' }
    gateway = await startGateway({ config, env: { REDIS_URL: redis.url, ...sampling } })
    return { gateways: [gateway], redis, factor: FACTOR, incidents: { REDIS_URL: redis.url }, waitForEvidence: true }
  })

  before(async () => {
    const requests = [
      ...times(FAILED.refused, '/payments/1'),
      ...times(FAILED.broken, '/orders/broken'),
      ...times(FAILED.answered, '/orders/answered'),
      ...times(30, '/orders/fine'),
    ]
    // At once: the alert holds for five seconds here, and evidence found before the last request would count too few.
    await Promise.all(shuffled(requests).map(async path => client.get(gateway.url + path)))
    lastFailedMs = Date.now()
  })

  it('names traces that the client saw fail, each kind of failure with its share, and a page', async () => {
    const payments = await messages('/payments')
    const orders = await messages('/orders')
    const { refused, broken, answered } = FAILED
    for (const text of [payments.slack.text, payments.mail.text ?? '']) {
      assert.match(text, new RegExp(`Statuses: 502 in ${refused} of ${refused} requests`))
      assert.match(text, new RegExp(`${refused} of ${refused}: payments → 127\\.0\\.0\\.1:\\d+ refused the connection`))
      assertTraces(text)
    }
    for (const text of [orders.slack.text, orders.mail.text ?? '']) {
      assert.match(text, new RegExp(`${broken} of ${broken + answered}: orders → 127.0.0.1:\\d+ broke the connection`))
      assert.match(text, new RegExp(`${answered} of ${broken + answered}: orders → 127.0.0.1:\\d+ answered with a 5xx`))
      const total = broken + answered + 30
      assert.match(text, new RegExp(`Statuses: .*502 in ${broken}(?:,.*)? of ${total} requests`))
      assert.match(text, new RegExp(`Statuses: .*503 in ${answered}(?:,.*)? of ${total} requests`))
      assert.match(text, /First failure at \d\d:\d\d:\d\d UTC/)
      assertTraces(text)
    }
    assert.match(payments.mail.text ?? '', /Incident: http:\/\/127\.0\.0\.1:\d+\/incidents\/\S+/)
  })

  it('links to an incident with the same traces, opened in the replica that kept them', async () => {
    const { mail: told } = await messages('/orders')
    const url = /Incident: (\S+)/.exec(told.text ?? '')?.[1] ?? ''
    const response = await fetch(url, { headers: { accept: 'application/json' } })
    assert.equal(response.status, 200)
    const incident = (await response.json()) as Incident
    const traces = incident.alerts.flatMap(({ evidence }) => evidence?.traces ?? [])
    assert.ok(traces.length >= 2)
    for (const { traceId, source, spans } of traces) {
      assert.equal(client.failed().has(traceId), true, `${traceId} is one that failed`)
      assert.equal(source, gateway.opsUrl)
      assert.ok(spans.some(({ kind }) => kind === 'client'))
    }
    assert.deepEqual(new Set(traces.map(({ reason }) => reason)), new Set(['reset', 'upstream_5xx']))
  })

  it('shows which clients exceed a limit, and how often, without their addresses', async () => {
    // The load must continue: a burst that is over causes no alert.
    const stopping = new AbortController()
    const hammering = (async () => {
      while (!stopping.signal.aborted) {
        await client.get(`${gateway.url}/limited`)
        await delay(100)
      }
    })()
    const { mail: told } = await messages('/limited', '[WARNING] GatewayRateLimitSurge')
    stopping.abort()
    await hammering
    const text = told.text ?? ''
    const [, times] = /Most limited: [0-9a-f]{12} \((\d+) times\)/.exec(text) ?? []
    assert.ok(Number(times) >= 30, text)
    const [, limited, all] = /(\d+) of (\d+): clients were over their rate limit/.exec(text) ?? []
    assert.equal(Number(all) - Number(limited), LIMIT, text)
    assert.match(told.text ?? '', /First refused at \d\d:\d\d:\d\d UTC/)
    assert.doesNotMatch(told.text ?? '', /Most limited: .*127\.0\.0\.1/)
  })

  it('is repeated when the alert is over, and the incident is closed with the time of the last failure', async () => {
    const isOver = ({ title }: SlackMessage): boolean => title.startsWith('[RESOLVED] GatewayHttp500Spike')
    await until(() => alerting.slack.messages.find(isOver), { what: 'the end', timeoutMs: 90_000, intervalMs: 50 })
    await until(() => anyClosed(), { what: 'a closed incident with its last failure', timeoutMs: 30_000 })
  })

  async function anyClosed(): Promise<boolean> {
    const response = await fetch(`${alerting.incidentsUrl}/incidents`, { headers: { accept: 'application/json' } })
    const { incidents } = (await response.json()) as { incidents: { closedAtMs?: number; lastBadMs?: number }[] }
    // The alerts continue for seconds after the last failure. Scrapes are a second apart here.
    return incidents.some(
      ({ closedAtMs, lastBadMs }) =>
        closedAtMs !== undefined && lastBadMs !== undefined && Math.abs(lastBadMs - lastFailedMs) < 3_000,
    )
  }

  /** Checks that the message has at least one trace id, and only ids that the client saw fail. */
  function assertTraces(text: string): void {
    const ids = [...text.matchAll(/Trace (?:<[^|]*\|)?([0-9a-f]{32})/g)].map(([, id]) => id ?? '')
    assert.ok(ids.length > 0, text)
    for (const id of ids) assert.equal(client.failed().has(id), true, `${id} failed`)
  }

  function messages(route: string, alert = '[CRITICAL] GatewayHttp500Spike'): Promise<Told> {
    return alerting.told(title => title === `${alert} ${route}`)
  }
})

interface Incident {
  readonly alerts: readonly {
    readonly evidence?: {
      readonly traces: readonly {
        readonly traceId: string
        readonly source?: string
        readonly reason?: string
        readonly spans: readonly { readonly kind: string }[]
      }[]
    }
  }[]
}

function configuration(ordersUrl: string, nobodyUrl: string): string {
  return `
upstreams:
  orders: { targets: ['${ordersUrl}'] }
  payments: { targets: ['${nobodyUrl}'] }
routes:
  - { name: orders, match: { path: /orders }, upstream: orders, rewrite: { stripPrefix: /orders } }
  - { name: limited, match: { path: /limited }, upstream: orders, rateLimit: { limit: ${LIMIT}, window: 1h } }
  - { name: payments, match: { path: /payments }, upstream: payments }
`
}

function random(below: number): number {
  return Math.floor(Math.random() * below)
}

function times(count: number, path: string): string[] {
  return Array.from({ length: count }, () => path)
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map(item => ({ item, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item)
}
