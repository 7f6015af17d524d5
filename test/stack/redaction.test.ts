import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { hashApiKey, newApiKey } from '../../src/cli/hash-key'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis } from '../support/start-redis'
import { startUpstream } from '../support/start-upstream'
import { TracedClient } from '../support/traced-client'
import { withAlerting } from '../support/with-alerting'

const FACTOR = 12.5
const REQUESTS = 200
/** Values that must stay in the gateway: each is planted where it would be visible if it left. */
const SECRETS = {
  consumer: secret('consumer'),
  otherConsumer: secret('other'),
  cookie: secret('cookie'),
  query: secret('query'),
  agent: secret('agent'),
  header: secret('header'),
  answer: secret('answer'),
  key: newApiKey(),
}
const OTHER_KEY = newApiKey()

describe('messages, pages and records, unless the settings allow it,', function () {
  this.timeout(110_000)
  const client = new TracedClient()
  let gateway: RunningGateway

  const alerting = withAlerting(async () => {
    const upstream = await startUpstream((request, response) => {
      response.setHeader('set-cookie', SECRETS.answer)
      response.writeHead(request.headers['x-shop'] === 'bad' ? 500 : 200).end(SECRETS.answer)
    })
    const redis = await startRedis()
    gateway = await startGateway({ config: configuration(upstream.url), env: { REDIS_URL: redis.url } })
    return { gateways: [gateway], redis, factor: FACTOR, incidents: { REDIS_URL: redis.url }, waitForEvidence: true }
  })

  before(async () => {
    for (let i = 0; i < REQUESTS; i++) {
      const isBad = i % 4 === 0
      await client.get(`${gateway.url}/shop/17?token=${SECRETS.query}`, {
        'x-api-key': isBad ? SECRETS.key : OTHER_KEY,
        'x-shop': isBad ? 'bad' : 'good',
        'x-secret': SECRETS.header,
        cookie: SECRETS.cookie,
        'user-agent': `${SECRETS.agent}/1.0`,
      })
    }
  })

  it('contain no consumers, keys, cookies, queries and header values, even if the cause is a consumer', async () => {
    const { mail, slack } = await alerting.told(title => title === '[CRITICAL] GatewayHttp500Spike /shop')
    const url = /Incident: (\S+)/.exec(mail.text ?? '')?.[1] ?? ''
    const read = async (address: string, accept: string): Promise<string> =>
      (await fetch(address, { headers: { accept } })).text()
    const seen = {
      mail: `${mail.subject} ${mail.text} ${String(mail.html)}`,
      slack: JSON.stringify(slack),
      page: await read(url, 'text/html'),
      json: await read(url, 'application/json'),
      list: await read(`${alerting.incidentsUrl}/incidents`, 'text/html'),
      alertmanager: await read(`${alerting.alertmanagerUrl}/api/v2/alerts`, 'application/json'),
    }
    for (const [where, text] of Object.entries(seen)) {
      for (const [what, planted] of Object.entries(SECRETS)) {
        assert.ok(!text.includes(planted), `${where} says the ${what}`)
      }
    }
    for (const text of [seen.mail, seen.slack, seen.page]) {
      assert.match(text, /failing requests came from consumer [0-9a-f]{12} \(no good one did/i)
    }
  })
})

function secret(what: string): string {
  return `planted-${what}-${randomBytes(6).toString('hex')}`
}

function configuration(url: string): string {
  return `
upstreams:
  shop: { targets: ['${url}'] }
consumers:
  ${SECRETS.consumer}: { apiKeys: ['${hashApiKey(SECRETS.key)}'] }
  ${SECRETS.otherConsumer}: { apiKeys: ['${hashApiKey(OTHER_KEY)}'] }
routes:
  - { name: shop, match: { path: /shop }, upstream: shop, auth: { apiKey: {} } }
`
}
