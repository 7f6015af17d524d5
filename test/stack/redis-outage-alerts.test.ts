import assert from 'node:assert/strict'
import { askRedis } from '../support/ask-redis'
import { startDelayingProxy, type DelayingProxy } from '../support/delaying-proxy'
import { send } from '../support/send'
import { proxyTo } from '../support/start-pipeline'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'
import { withAlerting } from '../support/with-alerting'

/** Divides every duration: two minutes become five seconds. */
const FACTOR = 25
const ALERT = 'GatewayRateLimitDegraded'

/** A Redis with the gateway that uses it. */
interface Pair {
  readonly redis: RunningRedis
  readonly proxy: DelayingProxy
  readonly gateway: RunningGateway
}

interface Outage {
  readonly fail: (pair: Pair) => Promise<unknown>
  readonly mend: (pair: Pair) => Promise<unknown>
}

/** All outages but `restarted empty`, which is over before an alert is due. */
const OUTAGES: Readonly<Record<string, Outage>> = {
  killed: { fail: ({ redis }) => redis.kill(), mend: ({ redis }) => redis.startAgain() },
  'down at boot': { fail: async () => undefined, mend: ({ redis }) => redis.startAgain() },
  frozen: { fail: async ({ redis }) => redis.freeze(), mend: async ({ redis }) => redis.thaw() },
  'slow by 2 s': {
    fail: async ({ proxy }) => (proxy.delayMs = 2_000),
    mend: async ({ proxy }) => (proxy.delayMs = 0),
  },
  full: {
    fail: ({ redis }) => askRedis(redis.url, client => client.config('SET', 'maxmemory', '1')),
    mend: ({ redis }) => askRedis(redis.url, client => client.config('SET', 'maxmemory', '0')),
  },
  'a read-only replica': {
    fail: ({ redis }) => askRedis(redis.url, client => client.replicaof('127.0.0.1', 1)),
    mend: ({ redis }) => askRedis(redis.url, client => client.replicaof('NO', 'ONE')),
  },
}

describe('the alert of a gateway without its Redis', function () {
  this.timeout(120_000)
  let upstream: RunningUpstream
  const proxies: DelayingProxy[] = []
  const pairs = new Map<string, Pair>()

  const alerting = withAlerting(async () => {
    upstream = await startUpstream()
    // The Redis of the exporter: while RedisDown fires, the alerts that follow from it are inhibited.
    const watched = await startRedis()
    // Started one after the other: seven programs that start at once each take as long as all together.
    for (const name of [...Object.keys(OUTAGES), 'well']) pairs.set(name, await startPair(name))
    return { gateways: [...pairs.values()].map(({ gateway }) => gateway), redis: watched, factor: FACTOR }
  })
  after(async () => {
    await Promise.all(proxies.map(proxy => proxy.stop()))
  })

  async function startPair(name: string): Promise<Pair> {
    const redis = await startRedis()
    if (name === 'down at boot') await redis.kill()
    const proxy = await startDelayingProxy(redis.port)
    proxies.push(proxy)
    const config = JSON.stringify(proxyTo(upstream.url, { route: { rateLimit: { limit: 1_000_000, window: '1h' } } }))
    return { redis, proxy, gateway: await startGateway({ config, env: { REDIS_URL: proxy.url } }) }
  }

  const addressOf = ({ gateway }: Pair): string => `127.0.0.1:${gateway.opsPort}`
  /** All messages about the alert in such a state, in Slack and by mail. */
  const told = (state: string): readonly [string, string] => {
    const fits = (title: string | undefined): boolean =>
      title?.includes(ALERT) === true && title.startsWith(`[${state}`)
    const inSlack = alerting.slack.messages.filter(({ title }) => fits(title)).map(({ text }) => text)
    const inMail = alerting.mail.mails.filter(({ subject }) => fits(subject)).map(({ text }) => text)
    return [inSlack.join('\n'), inMail.join('\n')]
  }
  const toldOf = (state: string, pair: Pair): boolean => told(state).every(text => text.includes(addressOf(pair)))

  async function degraded({ gateway }: Pair): Promise<boolean> {
    const { status, headers } = await send(gateway.port, '/app')
    assert.equal(status, 200)
    return headers['x-ratelimit-degraded'] === 'local'
  }

  it('is delivered for each kind of outage, and for no healthy gateway', async () => {
    for (const [name, { fail }] of Object.entries(OUTAGES)) {
      const pair = pairs.get(name)!
      await fail(pair)
      await until(() => degraded(pair), { what: `${name}: noticed` })
    }
    for (const name of Object.keys(OUTAGES)) {
      await until(() => toldOf('WARNING', pairs.get(name)!), { what: `${name}: told`, timeoutMs: 40_000 })
    }
    const well = pairs.get('well')!
    assert.equal(await degraded(well), false)
    assert.ok(told('WARNING').every(text => !text.includes(addressOf(well))))
  })

  it('is resolved when Redis is back, for each kind of outage', async () => {
    for (const [name, { mend }] of Object.entries(OUTAGES)) {
      const pair = pairs.get(name)!
      await mend(pair)
      await until(async () => !(await degraded(pair)), { what: `${name}: over` })
    }
    // All outages share one message: it is resolved when the last of them is.
    await until(() => told('RESOLVED').every(text => text.includes('Resolved after')), {
      what: 'told that all of it is over',
      timeoutMs: 60_000,
    })
  })
})
