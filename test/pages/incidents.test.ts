import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import type { Incident } from '../../src/incidents/record/incident'
import { needsBrowser, startBrowser } from '../support/browser'
import { alertRecord, BEGAN, hostileRecord, incidentRecord, REPLICA } from '../support/incident-record'
import { startPrometheusStandIn, type PrometheusStandIn } from '../support/prometheus-stand-in'
import { plainEnvironment, startProcess } from '../support/start-process'
import { temporaryFolder } from '../support/temporary-folder'
import { DESKTOP, overflow, PHONE, strangers, visitPage } from '../support/visit-page'

const WINDOWS = { desktop: DESKTOP, 'desktop, dark': { ...DESKTOP, colorScheme: 'dark' }, phone: PHONE } as const

const FIRING = incidentRecord()
const OVER = incidentRecord({
  id: id(BEGAN - 3_600_000),
  title: 'RedisDown',
  openedAtMs: BEGAN - 3_600_000,
  closedAtMs: BEGAN - 3_500_000,
  alerts: [alertRecord({ alertname: 'RedisDown', family: 'redis' }, { endsAtMs: BEGAN - 3_500_000 })],
})
/** The pages to check; each has a record of its own, with every field filled. */
const HOSTILE = Object.entries({
  'a script': '<script>window.taken = 1</script>',
  'the end of an attribute and an image': '"><img src="x" onerror="window.taken=1">',
  'the end of a quoted attribute and a handler': `' autofocus onfocus='window.taken=1`,
  'the end of everything it may stand in':
    '</style></title></svg><svg onload="window.taken=1"><script>window.taken=1</script>',
  'an address that is a script': 'javascript:window.taken=1',
  'an expression of a template': `{{ constructor.constructor('window.taken=1')() }}`,
  'control characters': '\u202e\u0000\u001b[31m'.repeat(20),
  'one endless word': 'x'.repeat(3_000),
  'wide characters': '中🚀e\u0301'.repeat(300),
}).map(([what, text], index) => {
  return { what, incident: { ...hostileRecord(text), id: id(BEGAN - (index + 2) * 7_200_000) } }
})

describe('the incident pages in a browser', function () {
  this.timeout(60_000)
  let prometheus: PrometheusStandIn
  let browser: Browser
  let url: string

  before(needsBrowser)

  before(async () => {
    const folder = join(temporaryFolder(), 'incidents')
    mkdirSync(folder)
    for (const incident of [FIRING, OVER, ...HOSTILE.map(({ incident }) => incident)]) write(folder, incident)
    prometheus = await startPrometheusStandIn(BEGAN, REPLICA)
    url = await startIncidents(folder, prometheus.url)
    browser = await startBrowser()
  })

  beforeEach(() => {
    prometheus.mode = 'answers'
  })

  after(async () => {
    await browser?.close()
    await prometheus?.stop()
  })

  for (const [name, options] of Object.entries(WINDOWS)) {
    describe(`on a ${name}`, () => {
      for (const [what, path] of Object.entries({
        'the list': '/incidents',
        'an incident that goes on': `/incidents/${FIRING.id}`,
        'one that is over': `/incidents/${OVER.id}`,
        'one that is gone': '/incidents/gone-00000000',
      })) {
        it(`shows ${what} without console errors, and fits the window`, async () => {
          await visit(path, options, async page => {
            assert.equal(await page.locator('main h1').count(), 1)
            assert.equal(await overflow(page), 0)
          })
        })
      }
    })
  }

  for (const { what, incident } of HOSTILE) {
    for (const [name, options] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
      it(`escapes ${what} in every field, on a ${name}`, async () => {
        await visit(`/incidents/${incident.id}`, options, async page => {
          assert.equal(await overflow(page), 0)
          await page.evaluate(OPEN_ALL)
          assert.equal(await overflow(page), 0)
          assert.deepEqual(await strangers(page, LINKS, ['form', 'label', 'input', 'textarea', 'button']), [])
          assert.equal(await page.locator('section').count(), 11, 'every part of the page is where it was')
        })
      })
    }
  }

  it('lists open incidents first, each with a link to its page', async () => {
    await visit('/incidents', PHONE, async page => {
      const states = await page.locator('.incidents > li > p:first-child .pill:first-child').allInnerTexts()
      assert.equal(states.length, HOSTILE.length + 2)
      assert.equal(states.at(-1), 'RESOLVED')
      await page.getByRole('link', { name: FIRING.title, exact: true }).click()
      await page.waitForURL(`**/incidents/${FIRING.id}`)
      assert.equal(await page.locator('h1').innerText(), FIRING.title)
    })
  })

  it('shows first what broke and why, and links to more', async () => {
    await visit(`/incidents/${FIRING.id}`, PHONE, async page => {
      const box = await page.locator('.heading').boundingBox()
      assert.ok(box && box.y + box.height < 844, 'on the first screen of a phone')
      const links = await page.locator('.heading .links a').allInnerTexts()
      // The query's address can only be opened by machines near Prometheus.
      assert.deepEqual(links, ['Runbook', 'Dashboard', 'Silence'])
    })
  })

  it('draws the curve with dots that link to the requests', async () => {
    await visit(`/incidents/${FIRING.id}`, DESKTOP, async page => {
      const chart = page.locator('svg.chart')
      assert.match((await chart.locator('title').first().textContent()) ?? '', /Failed requests, \/orders/)
      assert.equal(await chart.locator('circle.dot').count(), 8)
      const line = await chart.locator('.main-line').boundingBox()
      assert.ok(line && line.width > 850 && line.height > 60, JSON.stringify(line))
      const inReplica = await chart.locator('a[href^="http"]').first().getAttribute('href')
      assert.match(inReplica ?? '', /^http:\/\/10\.0\.0\.5:9464\/traces\/[0-4]{32}$/)
      const hidden = page.locator('#trace-4bf92f3577b34da6a3ce929d0e0e4736')
      assert.equal(await hidden.isVisible(), false)
      await chart.locator('a[href="#trace-4bf92f3577b34da6a3ce929d0e0e4736"]').click()
      await hidden.waitFor({ state: 'visible' })
    })
  })

  it('shows how the time of the first failed request was spent, and the attributes of its spans', async () => {
    await visit(`/incidents/${FIRING.id}`, DESKTOP, async page => {
      const first = page.locator('.traces details[open]').first()
      assert.equal(await first.locator('.span').count(), 2)
      const [server, client] = await Promise.all([0, 1].map(index => barOf(page, index)))
      assert.ok(server && client && client.x > server.x && client.width < server.width)
      await first.locator('.span summary').nth(1).click()
      await first.getByText('server.address').waitFor({ state: 'visible' })
    })
  })

  it('works without scripts', async () => {
    await visit(`/incidents/${FIRING.id}`, { ...PHONE, javaScriptEnabled: false }, async page => {
      await page.locator('.traces > li:nth-child(2) > details > summary').click()
      await page.locator('#trace-4bf92f3577b34da6a3ce929d0e0e4736').waitFor({ state: 'visible' })
      assert.equal(await page.locator('svg.chart').isVisible(), true)
      assert.equal(await page.locator('script').count(), 0)
    })
  })

  for (const [mode, note] of [
    ['hangs', 'Prometheus does not answer'],
    ['knows nothing', 'Prometheus has no data for that time'],
  ] as const) {
    it(`draws the recorded curve when Prometheus ${mode}, and says so`, async () => {
      prometheus.mode = mode
      await visit(`/incidents/${FIRING.id}`, PHONE, async page => {
        assert.equal(await page.getByText(note).isVisible(), true)
        assert.ok((await page.locator('.chart .main-line').boundingBox())?.height)
        assert.equal(await overflow(page), 0)
      })
    })
  }

  it('takes an acknowledgement and notes without a script, with the name that was given', async () => {
    const folder = temporaryFolder()
    write(folder, FIRING)
    const guarded = await startIncidents(folder, prometheus.url, { INCIDENTS_TOKEN: 'open-sesame-open-sesame' })
    const context = await browser.newContext({
      ...PHONE,
      javaScriptEnabled: false,
      httpCredentials: { username: 'mona', password: 'open-sesame-open-sesame', send: 'always' },
    })
    const page = await context.newPage()
    await page.goto(`${guarded}/incidents/${FIRING.id}`)
    await page.getByRole('button', { name: 'Acknowledge' }).click()
    await page.getByText('Acknowledged by mona').waitFor({ state: 'visible' })
    await page.getByLabel('Add a note').fill('<b>restarted</b> orders-2')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.locator('.notes .text').waitFor({ state: 'visible' })
    assert.equal(await page.locator('.notes .text').innerText(), '<b>restarted</b> orders-2')
    assert.equal(await overflow(page), 0)
    await page.goto(`${guarded}/incidents`)
    await page.getByText('acknowledged by mona').waitFor({ state: 'visible' })
    await context.close()
  })

  it('can be printed: the open evidence, in dark ink on white', async () => {
    await visit(`/incidents/${FIRING.id}`, { ...DESKTOP, colorScheme: 'dark' }, async page => {
      await page.emulateMedia({ media: 'print', colorScheme: 'light' })
      assert.equal(await page.evaluate('getComputedStyle(document.body).backgroundColor'), 'rgb(255, 255, 255)')
      assert.equal(await page.locator('.traces details[open] .waterfall').first().isVisible(), true)
      assert.equal(await page.locator('.traces > li:nth-child(2) > details').isVisible(), false)
    })
  })

  it('asks for name and password where a token is set', async () => {
    const folder = temporaryFolder()
    write(folder, FIRING)
    const guarded = await startIncidents(folder, prometheus.url, { INCIDENTS_TOKEN: 'open-sesame-open-sesame' })
    // A request through a proxy does not count as near.
    const far: BrowserContextOptions = { ...PHONE, extraHTTPHeaders: { 'x-forwarded-for': '203.0.113.9' } }
    const refused = await fetch(`${guarded}/incidents`, { headers: far.extraHTTPHeaders ?? {} })
    assert.equal(refused.status, 401)
    assert.match(refused.headers.get('www-authenticate') ?? '', /Basic realm=/)
    const context = await browser.newContext({
      ...far,
      httpCredentials: { username: 'any', password: 'open-sesame-open-sesame' },
    })
    const page = await context.newPage()
    await page.goto(`${guarded}/incidents/${FIRING.id}`)
    assert.equal(await page.locator('h1').innerText(), FIRING.title)
    await context.close()
  })

  async function visit(
    path: string,
    options: BrowserContextOptions,
    look: (page: Page) => Promise<void>,
  ): Promise<void> {
    await visitPage({ browser, url, path, options, status: path.includes('gone') ? 404 : 200 }, look)
  }
})

const OPEN_ALL = `document.querySelectorAll('details').forEach(details => { details.open = true })`

const LINKS = /^(?:https?:\/\/|#|\?|\.\.\/|incidents\/|[0-9a-z]+-[0-9a-f]{8}\/post-mortem\.md$)/

async function barOf(page: Page, index: number): Promise<{ x: number; width: number } | null> {
  return page.locator('.traces details[open]').first().locator('.bar rect').nth(index).boundingBox()
}

function id(timeMs: number): string {
  return `${timeMs.toString(36)}-00000000`
}

function write(folder: string, incident: Incident): void {
  writeFileSync(join(folder, `${incident.id}.json`), JSON.stringify(incident))
}

async function startIncidents(folder: string, prometheusUrl: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const service = startProcess({
    name: 'incidents',
    path: process.execPath,
    args: ['--enable-source-maps', resolve(__dirname, '../../src/incidents/main.js')],
    env: plainEnvironment({
      INCIDENTS_PORT: '0',
      INCIDENTS_FOLDER: folder,
      PROMETHEUS_URL: prometheusUrl,
      GRAFANA_URL: 'http://grafana.example:3000',
      REPOSITORY_URL: 'http://code.example/gateway/blob/main',
      ...env,
    }),
  })
  const { port } = await service.waitForLog('"listening"', entry => entry['event'] === 'listening')
  return `http://127.0.0.1:${Number(port)}`
}
