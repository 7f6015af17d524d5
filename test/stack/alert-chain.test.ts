import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { GATEWAYS_BY_NAME, scrapedAt } from '../../tools/stack/monitoring-copy'
import { askRedis } from '../support/ask-redis'
import { shortened, takeDurations } from '../support/shortened'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startUpstream } from '../support/start-upstream'
import { withAlerting, type Told } from '../support/with-alerting'

/** Divides every duration: two minutes become ten seconds, and all results are whole milliseconds. */
const FACTOR = 12.5
const SHIPPED = resolve(__dirname, '../../../monitoring')

describe('the alert chain, from the first 500 to the delivered mail,', function () {
  this.timeout(110_000)
  let redis: RunningRedis
  let gateway: RunningGateway
  let failing: Sending
  let hammering: Sending

  const alerting = withAlerting(async () => {
    const upstream = await startUpstream((request, response) => {
      response.statusCode = request.url?.startsWith('/fails') === true ? 500 : 200
      response.end()
    })
    redis = await startRedis(['--maxmemory', '8mb', '--maxmemory-policy', 'noeviction'])
    gateway = await startGateway({ config: configuration(upstream.url), env: { REDIS_URL: redis.url } })
    return { gateways: [gateway], redis, factor: FACTOR }
  })

  before(async () => {
    // All start together, so that the tests wait for the slowest alert and not for their sum.
    failing = keepSending(`${gateway.url}/api/orders/fails`)
    hammering = keepSending(`${gateway.url}/limited`)
    await fill(redis)
  })

  it('runs the shipped rules and routes unchanged, except addresses and durations divided by one factor', () => {
    for (const file of ['alert_rules.yml', 'prometheus.yml', 'alertmanager.yml']) {
      const shipped = readFileSync(join(SHIPPED, file), 'utf8')
      // Found by the name of their containers there, by addresses here.
      const original = takeDurations(shipped.replace(GATEWAYS_BY_NAME, scrapedAt('gateway:9464')))
      const run = takeDurations(readFileSync(join(alerting.folder, file), 'utf8'))
      assert.ok(original.durations.length > 3, `${file} has durations to shorten`)
      assert.deepEqual(
        run.durations,
        original.durations.map(duration => duration / FACTOR),
        file,
      )
      assert.deepEqual(withoutAddresses(run.rest), withoutAddresses(original.rest), file)
    }
    assert.throws(() => shortened('for: 1s', 3_000), /cannot be divided/)
  })

  it('reports a burst of 500s by Slack and by mail, with route, upstream and reason', async () => {
    const told = await firing('GatewayHttp500Spike')
    await failing.stop()
    for (const text of [told.slack.text, told.mail.text ?? '']) {
      assert.match(text, /Route:\*? \/api\/orders/)
      assert.match(text, /Upstream:\*? orders/)
      assert.match(text, /Reason:\*? upstream_5xx$/m)
      assert.match(text, /GatewayHttp500Spike\.md/)
    }
    assert.match(told.slack.title, /^\[CRITICAL\] GatewayHttp500Spike \/api\/orders/)
    assert.equal(told.mail.subject, told.slack.title)
  })

  it('reports a client that repeatedly exceeds its limit', async () => {
    const told = await firing('GatewayRateLimitSurge')
    await hammering.stop()
    assert.match(told.mail.text ?? '', /Route: \/limited/)
    assert.match(told.mail.text ?? '', /policy\s+default/)
  })

  it('reports a Redis that is nearly full, while requests are answered', async () => {
    const told = await firing('RedisMemoryHigh')
    assert.match(told.mail.text ?? '', /uses \d+(\.\d+)?% of maxmemory/)
  })

  it('reports an unavailable Redis, while requests are answered', async () => {
    await redis.kill()
    const answering = keepSending(`${gateway.url}/api/orders/1`)
    const told = await firing('RedisDown')
    const statuses = await answering.stop()
    assert.match(told.slack.title, /^\[CRITICAL\] RedisDown/)
    assert.deepEqual([...statuses], [200], 'every request was answered')
    assert.equal(
      alerting.mail.mails.some(({ subject }) => subject?.includes('GatewayRateLimitDegraded')),
      false,
      'the consequence is silenced by its cause',
    )
  })

  it('reports the end of the 500s', async () => {
    const over = await alerting.told(title => title.startsWith('[RESOLVED] GatewayHttp500Spike'))
    assert.match(over.slack.text, /Resolved after \d+s/)
  })

  function firing(alert: string): Promise<Told> {
    return alerting.told(title => title.includes(`] ${alert}`) && !title.startsWith('[RESOLVED]'))
  }
})

function configuration(upstreamUrl: string): string {
  return `
upstreams:
  orders: { targets: ['${upstreamUrl}'] }
routes:
  - { name: orders, match: { path: /api/orders }, upstream: orders, rewrite: { stripPrefix: /api/orders }, rateLimit: { limit: 100000, window: 1m } }
  - { name: limited, match: { path: /limited }, upstream: orders, rateLimit: { limit: 5, window: 1h } }
`
}

/** Fills Redis, and writes a little more than fits. */
async function fill({ url }: RunningRedis): Promise<void> {
  const results = await askRedis(url, client =>
    Promise.allSettled(Array.from({ length: 80 }, (_, i) => client.set(`filler:${i}`, 'x'.repeat(100_000)))),
  )
  assert.ok(
    results.some(({ status }) => status === 'rejected'),
    'Redis is full',
  )
}

interface Sending {
  /** @returns the statuses that were received */
  stop(): Promise<ReadonlySet<number>>
}

/** Sends requests one after the other, at most 50 per second, until it is stopped. */
function keepSending(url: string): Sending {
  const statuses = new Set<number>()
  const stopping = new AbortController()
  const sending = (async () => {
    while (!stopping.signal.aborted) {
      const response = await fetch(url)
      await response.arrayBuffer()
      statuses.add(response.status)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  })()
  // `stop` reports the error; if a test failed before that, the error is not needed.
  sending.catch(() => undefined)
  return {
    stop: async () => {
      stopping.abort()
      await sending
      return statuses
    },
  }
}

function withoutAddresses(text: string): string {
  return text
    .replaceAll(/127\.0\.0\.1:\d+|(?:gateway|redis-exporter|localhost|alertmanager|incidents|mail):\d+/g, '<address>')
    .replaceAll(/\S*\/(slack_api_url|smtp_password)/g, '<folder>/$1')
}
