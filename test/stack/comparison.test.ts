import assert from 'node:assert/strict'
import { hashApiKey, newApiKey } from '../../src/cli/hash-key'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { startTraceBackend } from '../support/trace-backend'
import { TracedClient } from '../support/traced-client'
import { withAlerting } from '../support/with-alerting'

const FACTOR = 12.5
const REQUESTS = 360
const CAUSES = ['target', 'release', 'consumer', 'path', 'user agent'] as const
/**
 * The fault and its cause, chosen at random in each run, so that no answer can be hard-coded. `COMPARISON_CAUSE=target`
 * plants that one, to repeat a run that failed.
 */
const CAUSE = CAUSES.find(cause => cause === process.env['COMPARISON_CAUSE']) ?? pick(CAUSES)
const BAD_TARGET = random(3)
const SHOPS = ['web', 'app', 'partner', 'batch']
const KEYS: Readonly<Record<string, string>> = Object.fromEntries(SHOPS.map(shop => [shop, newApiKey()]))
const BAD_SHOP = pick(SHOPS)
const PATHS = ['items', 'cart', 'search', 'export']
const BAD_PATH = pick(PATHS)
const AGENTS = ['curl/8.5.0', 'okhttp/4.12', 'python-requests/2.32', 'MyApp/3.1']
const BAD_AGENT = random(AGENTS.length)
/** Random failures in addition to those of the cause, because a real service has several kinds. */
const BACKGROUND = 0.02

describe(`the message names what sets the failing requests apart (planted: ${CAUSE})`, function () {
  this.timeout(110_000)
  const client = new TracedClient()
  const targets: string[] = []
  const versions = new Map<RunningUpstream, string>()
  let gateway: RunningGateway

  const alerting = withAlerting(async () => {
    for (let index = 0; index < 3; index++) {
      const upstream = await startUpstream((request, response) => {
        const isHit =
          (CAUSE === 'target' && index === BAD_TARGET) ||
          (CAUSE === 'release' && index !== BAD_TARGET) ||
          (CAUSE === 'consumer' && request.headers['x-shop'] === BAD_SHOP) ||
          (CAUSE === 'path' && request.url?.startsWith(`/shop/${BAD_PATH}`) === true) ||
          (CAUSE === 'user agent' && request.headers['user-agent'] === AGENTS[BAD_AGENT])
        response.writeHead(isHit || Math.random() < BACKGROUND ? 500 : 200).end('{}')
      })
      targets.push(upstream.url)
      versions.set(upstream, CAUSE === 'release' && index !== BAD_TARGET ? '1.4.2' : '1.4.1')
    }
    const redis = await startRedis()
    gateway = await startGateway({ config: configuration(targets), env: { REDIS_URL: redis.url } })
    const traces = await startTraceBackend(() => gateway.opsUrl, versions)
    const incidents = { REDIS_URL: redis.url, INCIDENTS_SHOW_CONSUMERS: 'true', JAEGER_URL: traces.url }
    return { gateways: [gateway], redis, factor: FACTOR, incidents, waitForEvidence: true }
  })

  before(async () => {
    for (let i = 0; i < REQUESTS; i++) {
      const shop = pick(SHOPS)
      await client.get(`${gateway.url}/shop/${pick(PATHS)}/${random(100)}`, {
        'x-api-key': KEYS[shop] ?? '',
        'x-shop': shop,
        'user-agent': AGENTS[random(AGENTS.length)] ?? '',
      })
      // Some requests are sampled, as examples of good ones.
      if (i % 10 === 0)
        await fetch(`${gateway.url}/shop/${pick(PATHS)}/1`, { headers: { 'x-api-key': KEYS[shop] ?? '' } })
    }
  })

  it('in mail, Slack payload, incident page and JSON, with its share of failed and of good requests', async () => {
    const { mail, slack } = await alerting.told(title => title === '[CRITICAL] GatewayHttp500Spike /shop')
    for (const text of [mail.text ?? '', slack.text]) assert.match(text, expected())
    const url = /Incident: (\S+)/.exec(mail.text ?? '')?.[1] ?? ''
    const page = await (await fetch(url, { headers: { accept: 'text/html' } })).text()
    assert.match(page, /What is different/)
    assert.match(page, expected())
    assert.match(page, /A failing request beside a good one/)
    const json = (await (await fetch(url, { headers: { accept: 'application/json' } })).json()) as Incident
    const [difference] = json.alerts[0]?.evidence?.comparison?.differences ?? []
    assert.ok(difference !== undefined && difference.failingShare > difference.goodShare)
  })

  function expected(): RegExp {
    const said = {
      target: `went to ${targets[BAD_TARGET]?.replace('http://', '')}`,
      release: 'went to release 1\\.4\\.2 on 2 of 3 targets',
      consumer: `came from consumer ${BAD_SHOP}`,
      path: `had a path like /shop/${BAD_PATH}/\\{.+?\\}`,
      'user agent': `came from ${AGENTS[BAD_AGENT]?.split('.')[0]?.replace('/', ' ')}`,
    }[CAUSE]
    return new RegExp(
      `(?:all(?: \\d+)?|\\d+ of \\d+|\\d+ %) (?:of the )?failing requests ${said} \\(.* good one.*did`,
      'i',
    )
  }
})

interface Incident {
  readonly alerts: readonly {
    readonly evidence?: {
      readonly comparison?: { readonly differences: readonly { failingShare: number; goodShare: number }[] }
    }
  }[]
}

/** Without ejection: a target that only answers 500 would be ejected after five of them, and no alert would fire. */
function configuration(urls: readonly string[]): string {
  const consumers = Object.entries(KEYS).map(([shop, key]) => `  ${shop}: { apiKeys: ['${hashApiKey(key)}'] }`)
  return `
upstreams:
  shop: { targets: [${urls.map(url => `'${url}'`).join(', ')}], ejection: { failures: 0 } }
consumers:
${consumers.join('\n')}
routes:
  - { name: shop, match: { path: /shop }, upstream: shop, auth: { apiKey: {} } }
`
}

function pick<Item>(items: readonly Item[]): Item {
  return items[random(items.length)] as Item
}

function random(below: number): number {
  return Math.floor(Math.random() * below)
}
