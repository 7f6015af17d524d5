import assert from 'node:assert/strict'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { needsBrowser, startBrowser } from '../support/browser'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startUpstream } from '../support/start-upstream'
import { until } from '../support/until'
import { DESKTOP, faintTexts, overflow, PHONE, strangers, visitPage } from '../support/visit-page'

const NARROW: BrowserContextOptions = { ...PHONE, viewport: { width: 360, height: 740 } }
const WINDOWS = {
  desktop: DESKTOP,
  'desktop, dark': { ...DESKTOP, colorScheme: 'dark' },
  phone: NARROW,
  'phone, dark': { ...NARROW, colorScheme: 'dark' },
} as const
const HOSTILE = `"><img src="x" onerror="window.taken=1"><script>window.taken=1</script>`
/** The longest route name. */
const LONG_NAME = 'x'.repeat(64)
const LINKS = /^(?:\/(?:status|routes|upstreams|offenders|traces|metrics|livez|readyz)(?:[/?]|$)|#)/
const FAILED = 12

describe('the pages of the ops port in a browser', function () {
  this.timeout(60_000)
  let gateway: RunningGateway
  let browser: Browser

  before(needsBrowser)

  before(async () => {
    const upstream = await startUpstream((request, response) => {
      response.statusCode = request.url?.includes('fail') ? 503 : 200
      response.end('answer')
    })
    gateway = await startGateway({ config: configOf(upstream.url) })
    browser = await startBrowser()
    // An escaped slash is refused, because two servers could read it differently.
    const failing = `/reports/fail/${encodeURIComponent(HOSTILE.replaceAll('/', ''))}`
    for (let i = 0; i < FAILED; i++) assert.equal((await send(gateway.port, failing)).status, 503)
    for (let i = 0; i < 8; i++) await send(gateway.port, '/reports/fine')
    for (let i = 0; i < 5; i++) await send(gateway.port, { path: '/orders', headers: { 'x-tenant': HOSTILE } })
    await send(gateway.port, `/unknown/${LONG_NAME}`)
    await until(async () => (await statusOf(gateway)).traffic.all.requests === FAILED + 14, { what: 'all have ended' })
  })

  after(async () => {
    await browser?.close()
    await gateway?.stop()
  })

  for (const [name, options] of Object.entries(WINDOWS)) {
    for (const path of ['/', '/status?route=reports', '/routes', '/upstreams', '/offenders', '/traces']) {
      it(`${path} fits the window and is readable, on a ${name}`, async () => {
        await visit(path, options, async page => {
          assert.equal(await page.locator('main h1').count(), 1)
          assert.equal(await overflow(page), 0)
          assert.deepEqual(await faintTexts(page), [])
          assert.deepEqual(
            await strangers(page, LINKS, ['br', 'form', 'label', 'select', 'option', 'input', 'button']),
            [],
          )
        })
      })
    }
  }

  it('shows the failing route first, and links to the timeline of a request', async () => {
    await visit('/', PHONE, async page => {
      assert.equal(page.url(), `${gateway.opsUrl}/status`)
      const concern = page.getByRole('link', { name: `Route reports: ${FAILED} of 20 requests failed` })
      const box = await concern.boundingBox()
      assert.ok(box && box.y + box.height < 844, 'on the first screen of a phone')
      await concern.click()
      await page.waitForURL('**/traces?outcome=fault&route=%2Freports')
      assert.equal(await page.locator('tbody tr').count(), FAILED)
    })
    await visit('/status', DESKTOP, async page => {
      const failures = page.locator('section.failures tbody tr')
      // Equal failures are one row.
      assert.equal(await failures.count(), 1)
      assert.match(await failures.first().innerText(), new RegExp(`${FAILED} ×`))
      const labels = await page.locator('.plot > .values').first().boundingBox()
      const plot = await page.locator('.plot > .chart').first().boundingBox()
      assert.ok(labels && plot && labels.x + labels.width <= plot.x + 1, 'numbers beside the plot, not in it')
      assert.match(await failures.first().innerText(), /upstream_5xx/)
      await failures.first().getByRole('link').first().click()
      await page.waitForURL(/\/traces\/[0-9a-f]{32}$/)
      assert.ok((await page.locator('.waterfall .span').count()) >= 2)
    })
  })

  it('draws request rate and latency, for all routes and for each one', async () => {
    await visit('/status', DESKTOP, async page => {
      for (const what of ['.faults', '.answered', '.refusals']) {
        const area = await page.locator(`figure .chart path${what}`).boundingBox()
        assert.ok(area && area.width > 20 && area.height > 3, `${what} ${JSON.stringify(area)}`)
      }
      assert.ok((await page.locator('figure .chart path.p95Ms').boundingBox())?.width)
      const [first] = await page.locator('table.routes tbody tr').all()
      assert.match((await first?.innerText()) ?? '', /reports[^]*60 %/)
      const sparks = first?.locator('svg.spark')
      assert.equal(await sparks?.count(), 2)
      assert.match(
        (await sparks?.first().getAttribute('aria-label')) ?? '',
        /20 requests, .* per second at peak, 12 failed/,
      )
    })
  })

  it('shows the curves of a route that is clicked', async () => {
    await visit('/status', DESKTOP, async page => {
      await page.locator('table.routes').getByRole('link', { name: 'orders', exact: true }).click()
      await page.waitForURL('**/status?route=orders')
      assert.match((await page.locator('figure .chart title').first().textContent()) ?? '', /route orders/)
      assert.equal(await page.locator('figure .chart path.faults').count(), 0)
    })
  })

  it('shows limited clients, and escapes what clients wrote', async () => {
    await visit('/offenders', DESKTOP, async page => {
      const text = await page.locator('main').innerText()
      assert.match(text, /exceeded 3 times/)
      assert.match(text, /x-tenant=[\w-]{22}\s/)
    })
  })

  it('reloads itself without a script, and stops on request', async () => {
    await visit('/status', { ...PHONE, javaScriptEnabled: false }, async page => {
      const made = page.locator('.made time')
      const before = await made.getAttribute('datetime')
      await until(async () => (await made.getAttribute('datetime')) !== before, {
        what: 'the page is a new one',
        timeoutMs: 30_000,
      })
      await page.getByRole('link', { name: 'pause' }).click()
      await page.waitForURL('**/status?refresh=off')
      assert.equal(await page.locator('meta[http-equiv=refresh]').count(), 0)
    })
  })

  async function visit(
    path: string,
    options: BrowserContextOptions,
    look: (page: Page) => Promise<void>,
  ): Promise<void> {
    await visitPage({ browser, url: gateway.opsUrl, path, options }, look)
  }
})

interface StatusJson {
  readonly traffic: { readonly all: { readonly requests: number } }
}

async function statusOf({ opsUrl }: RunningGateway): Promise<StatusJson> {
  return (await (await fetch(`${opsUrl}/status`)).json()) as StatusJson
}

function configOf(upstreamUrl: string): string {
  const rateLimit = { limit: 2, window: '1h', key: ['header:x-tenant'], offenders: 'clear' }
  return JSON.stringify({
    upstreams: {
      main: { targets: [upstreamUrl] },
      [LONG_NAME]: { targets: [upstreamUrl, upstreamUrl.replace('127.0.0.1', '127.0.0.2')] },
    },
    routes: [
      { name: 'reports', match: { path: '/reports' }, upstream: 'main' },
      { name: 'orders', match: { path: '/orders', methods: ['GET', 'POST', 'DELETE'] }, upstream: 'main', rateLimit },
      {
        name: LONG_NAME,
        match: {
          path: `/${LONG_NAME}/${LONG_NAME}`,
          host: `*.${'y'.repeat(40)}.example.com`,
          headers: { 'x-kind': HOSTILE },
        },
        upstream: LONG_NAME,
        requestHeaders: { set: { authorization: 'Bearer secret' }, remove: ['cookie'] },
      },
    ],
  })
}
