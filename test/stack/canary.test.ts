import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'
import { withAlerting } from '../support/with-alerting'

const FACTOR = 25
const TESTER = { 'x-canary': 'always' }

describe('a canary is rolled out, found bad and rolled back', function () {
  this.timeout(110_000)
  let stable: RunningUpstream
  let canary: RunningUpstream
  let gateway: RunningGateway
  /** Requests of clients until the end of the walk. */
  const answers: { readonly variant: string; readonly status: number }[] = []
  let traffic: Promise<unknown> | undefined
  const over = new AbortController()

  // Before the hooks of withAlerting(), which end the gateway.
  after(async () => {
    over.abort()
    await traffic
  })

  const alerting = withAlerting(async () => {
    stable = await startUpstream((_request, response) => response.end('stable'))
    canary = await startUpstream((_request, response) => response.end('canary'))
    const redis = await startRedis()
    gateway = await startGateway({ config: file(100), env: { REDIS_URL: redis.url } })
    return { gateways: [gateway], redis, factor: FACTOR, incidents: { REDIS_URL: redis.url }, waitForEvidence: true }
  })

  function file(stableWeight: number): string {
    return `
upstreams:
  web: { targets: ['${stable.url}'] }
  web-next: { targets: ['${canary.url}'] }
routes:
  - name: shop
    match: { path: /shop }
    split:
      variants:
        - { name: stable, upstream: web, weight: ${stableWeight} }
        - { name: canary, upstream: web-next, weight: ${100 - stableWeight}, match: { headers: { x-canary: always } } }
`
  }

  async function reload(stableWeight: number): Promise<void> {
    const before = gateway.logs.length
    writeFileSync(gateway.configFile, file(stableWeight))
    gateway.process.signal('SIGHUP')
    await until(
      () => gateway.logs.slice(before).some(({ event, result }) => event === 'config' && result === 'success'),
      { what: 'the reload' },
    )
  }

  /** Clients without end: each makes three requests with its cookie. At most 100 requests per second. */
  async function sendTraffic(): Promise<void> {
    while (!over.signal.aborted) {
      let cookie = ''
      for (let i = 0; i < 3; i++) {
        const { status, text, headers } = await send(gateway.port, { path: '/shop', headers: { cookie } })
        answers.push({ variant: text, status })
        cookie = headers['set-cookie']?.[0]?.split(';')[0] ?? cookie
        await new Promise(resolve => setTimeout(resolve, 10))
      }
    }
  }

  const sentTo = (variant: string): number => answers.filter(answer => answer.variant === variant).length

  async function statusPage(): Promise<string> {
    return (await fetch(`${gateway.opsUrl}/status`, { headers: { accept: 'text/html' } })).text()
  }

  it('reaches testers only while its weight is 0', async () => {
    traffic = sendTraffic()
    assert.equal((await send(gateway.port, { path: '/shop', headers: TESTER })).text, 'canary')
    await until(() => sentTo('stable') >= 50, { what: '50 requests' })
    assert.equal(sentTo('canary'), 0)
  })

  it('gets its share after a reload', async () => {
    await reload(80)
    await until(() => sentTo('canary') >= 20, { what: '20 requests to the canary', timeoutMs: 20_000 })
  })

  it('is found bad on the status page, beside the stable variant', async () => {
    canary.handler = (_request, response) => response.writeHead(500).end('canary')
    await until(
      async () => /variant canary: \d+ of \d+ requests failed in the last 5 minutes/.test(await statusPage()),
      {
        what: 'the concern on the page',
        timeoutMs: 20_000,
      },
    )
    const page = await statusPage()
    const row = (variant: string): string =>
      new RegExp(`<tr class="variant">\\s*<th[^>]*>${variant}[^]*?</tr>`).exec(page)?.[0] ?? ''
    assert.match(row('stable'), /data-label="faults">\s*<span class="">0 %/)
    assert.match(row('canary'), /data-label="faults">\s*<span class="bad-text">[\d.]+ %/)
  })

  it('is found bad by the alert, whose message names the variant', async () => {
    const { slack, mail } = await alerting.told(title => title.includes('GatewayCanaryWorseThanStable'))
    for (const text of [slack.text, mail.text ?? '']) {
      assert.match(text, /requests to variant canary of \/shop \(upstream web-next\)/)
      assert.match(text, /of those to the stable variant/)
    }
  })

  it('gets no client any more after the roll-back, and no request to the stable variant failed', async () => {
    await reload(100)
    // Those in flight end with the weights that they began with.
    const begun = answers.length
    await until(() => answers.length > begun + 3, { what: 'requests in flight have ended' })
    const canaries = sentTo('canary')
    const before = answers.length
    await until(() => answers.length >= before + 60, { what: '60 requests', timeoutMs: 20_000 })
    assert.equal(sentTo('canary'), canaries)
    assert.equal((await send(gateway.port, { path: '/shop', headers: TESTER })).status, 500)
    const failed = answers.filter(({ variant, status }) => status !== 200 && variant !== 'canary')
    assert.deepEqual(failed, [])
  })
})
