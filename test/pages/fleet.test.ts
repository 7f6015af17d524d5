import assert from 'node:assert/strict'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { compareReplicas, type AskedReplica } from '../../src/incidents/fleet/compare'
import { fleetPage } from '../../src/incidents/fleet/fleet-page'
import { sendPage } from '../../src/pages/send-page'
import { needsBrowser, startBrowser } from '../support/browser'
import { askedReplica, FLEET_NOW, summaryOf, unreachableReplica } from '../support/fleet-record'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { DESKTOP, faintTexts, overflow, PHONE, strangers, visitPage } from '../support/visit-page'

const WALL = { viewport: { width: 2560, height: 1440 } }
const WINDOWS = {
  desktop: DESKTOP,
  'desktop, dark': { ...DESKTOP, colorScheme: 'dark' },
  phone: PHONE,
  'phone, dark': { ...PHONE, colorScheme: 'dark' },
  wall: WALL,
} as const

const HOSTILE = `"><img src=x onerror="window.taken=1"><script>window.taken=1</script>${'x'.repeat(300)}\u202e`
const EJECTED = [{ upstream: 'orders', target: 'http://10.0.0.7:9001', reason: 'circuit open' }]
const TROUBLE = [
  unreachableReplica('10.0.0.3:9464'),
  askedReplica('10.0.0.2:9464', {
    summary: summaryOf({
      status: 'attention',
      concerns: ['Route orders: 42 of 100 requests failed in the last 5 minutes'],
      sha256: '9f8e7d6c'.repeat(8),
      version: '1.1.0-rc.1',
      load: { requestsPerSecond: 12, faultShare: 0.42, inFlight: 7 },
      requests: { requests: 100, faults: 42 },
      ejected: EJECTED,
      limits: 'degraded',
      limited: [{ client: 'a1b2c3d4e5f6', route: 'orders', policy: 'burst', count: 41 }],
    }),
  }),
  askedReplica('10.0.0.1:9464'),
  { ...unreachableReplica('10.0.0.4:9464'), scrape: 'gone' as const },
]
const FLEETS: Readonly<Record<string, readonly AskedReplica[]>> = {
  none: [],
  one: [askedReplica('10.0.0.1:9464')],
  trouble: TROUBLE,
  hundred: Array.from({ length: 100 }, (_, index) => askedReplica(`10.0.${index}.1:9464`)),
  hostile: [
    unreachableReplica(HOSTILE, {
      problem: HOSTILE,
      scrapeError: HOSTILE,
      version: HOSTILE,
      url: `javascript:${HOSTILE}`,
    }),
    askedReplica(`other ${HOSTILE}`, {
      url: `javascript:${HOSTILE}`,
      summary: summaryOf({
        concerns: [HOSTILE],
        version: HOSTILE,
        host: HOSTILE,
        ejected: [{ upstream: HOSTILE, target: HOSTILE, reason: HOSTILE }],
        limited: [{ client: HOSTILE, route: HOSTILE, policy: HOSTILE, count: 3 }],
      }),
    }),
  ],
}

describe('the fleet page in a browser', function () {
  this.timeout(60_000)
  let browser: Browser
  let server: RunningUpstream

  before(needsBrowser)

  before(async () => {
    server = await startUpstream((request, response) => {
      const replicas = FLEETS[(request.url ?? '').slice(1)] ?? []
      const fleet = compareReplicas(replicas, { timeMs: FLEET_NOW, leftOut: 0, prometheusProblem: undefined })
      sendPage(response, 200, fleetPage(fleet, { refreshes: false }))
    })
    browser = await startBrowser()
  })

  after(async () => {
    await browser?.close()
    await server?.stop()
  })

  for (const [name, options] of Object.entries(WINDOWS)) {
    it(`fits the window, is readable, and escapes what replicas say, on a ${name}`, async () => {
      for (const path of Object.keys(FLEETS)) {
        await visit(path, options, async page => {
          assert.equal(await page.locator('main h1').count(), 1)
          assert.equal(await overflow(page), 0, path)
          assert.deepEqual(await faintTexts(page), [], path)
          assert.deepEqual(await strangers(page, LINKS, ['br']), [], path)
        })
      }
    })
  }

  it('shows first what needs attention, and marks in words what differs', async () => {
    await visit('trouble', PHONE, async page => {
      assert.match(
        await page.locator('.concerns li').first().innerText(),
        /^10\.0\.0\.3:9464 is unreachable since 14:04:57/,
      )
      const first = page.locator('.fleet tbody tr').first()
      assert.match(await first.innerText(), /UNREACHABLE|unreachable/)
      const odd = await page.locator('.fleet tbody tr').nth(1).innerText()
      assert.match(odd, /1\.1\.0-rc\.1 differs/)
      assert.match(odd, /9f8e7d6c differs/)
      assert.equal(
        await page.getByRole('link', { name: '10.0.0.1:9464' }).getAttribute('href'),
        'http://10.0.0.1:9464/status',
      )
    })
  })

  it('says where replicas come from when none is known', async () => {
    await visit('none', DESKTOP, async page => {
      assert.match(
        await page.locator('main').innerText(),
        /Prometheus knows no gateway of the job that GATEWAY_JOB names/,
      )
    })
  })

  async function visit(
    path: string,
    options: BrowserContextOptions,
    look: (page: Page) => Promise<void>,
  ): Promise<void> {
    await visitPage({ browser, url: server.url, path: `/${path}`, options }, look)
  }
})

const LINKS = /^(?:fleet(?:\?refresh=off)?|incidents|\?format=json|http:\/\/10\.0\.\d+\.[12]:9464\/status)$/
