import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createOpsAccess } from '../../src/operations/ops-access'
import { createOpsServer } from '../../src/operations/ops-server'
import type { TraceFilter, TraceSummary } from '../../src/operations/traces'
import { quietSources } from '../support/ops-sources'

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const HOSTILE = `/"><script>alert(1)</script><img src=x onerror='alert(2)'>`
const TRACE: TraceSummary = {
  traceId: TRACE_ID,
  timeMs: Date.UTC(2026, 10, 23, 16, 0, 0, 5),
  method: 'GET',
  path: HOSTILE,
  route: '/orders',
  upstream: 'orders',
  status: 502,
  outcome: 'fault',
  reason: 'connect_refused',
  durationMs: 12.5,
  cause: 'fault',
}
const OTLP = JSON.stringify({
  resourceSpans: [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'myesi-api' } }] },
      scopeSpans: [
        {
          spans: [
            {
              traceId: TRACE_ID,
              spanId: '00f067aa0ba902b7',
              name: 'GET /orders',
              kind: 2,
              startTimeUnixNano: '1763915882258000000',
              endTimeUnixNano: '1763915882270500000',
              status: { code: 2, message: 'The upstream refused the connection' },
              attributes: [{ key: 'user_agent.original', value: { stringValue: HOSTILE } }],
            },
          ],
        },
      ],
    },
  ],
})
const OFFENDERS = ['burst', 'daily'].map(policy => ({
  route: 'orders',
  policy,
  httpRoute: '/api/orders',
  limited: 7,
  offenders: [{ client: 'a1b2c3d4e5f6', count: 7, error: 0 }],
}))
const UPSTREAMS = [
  {
    name: 'orders',
    panicking: false,
    targets: [
      {
        target: 'http://127.0.0.1:9001',
        healthy: true,
        activeCalls: 0,
        connections: { open: 0, free: 0, waitingCalls: 0 },
      },
    ],
  },
]
const BROWSER = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }
const ASK = { redirect: 'manual' } as const

describe('the ops port', () => {
  let server: Server
  let url: string
  const asked: { filter: TraceFilter; limit: number }[] = []
  let notReady: string | undefined

  async function start(host: string, token?: string): Promise<void> {
    asked.length = 0
    notReady = undefined
    server = createOpsServer({
      ...quietSources(),
      upstreams: () => UPSTREAMS,
      offenders: () => OFFENDERS,
      traces: {
        list: (filter, limit) => {
          asked.push({ filter, limit })
          return [TRACE]
        },
        otlpJson: traceId => (traceId === TRACE_ID ? OTLP : undefined),
      },
      notReady: () => notReady,
      access: createOpsAccess({ host, token }),
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  afterEach(async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  })

  async function page(path: string): Promise<{ status: number; text: string; headers: Headers }> {
    const response = await fetch(`${url}${path}`, { headers: BROWSER, ...ASK })
    return { status: response.status, text: await response.text(), headers: response.headers }
  }

  describe('for a program', () => {
    beforeEach(() => start('127.0.0.1'))

    it('lists traces as JSON, with the filters of the query', async () => {
      const response = await fetch(`${url}/traces?route=/orders&outcome=fault&reason=&limit=7`)
      assert.equal(response.headers.get('content-type'), 'application/json')
      const { traces } = (await response.json()) as { traces: Record<string, unknown>[] }
      assert.equal(traces[0]?.['time'], '2026-11-23T16:00:00.005Z')
      assert.equal(traces[0]['path'], HOSTILE)
      const [{ filter, limit } = { filter: {}, limit: 0 }] = asked
      assert.deepEqual([filter.route, filter.outcome, filter.reason, limit], ['/orders', 'fault', undefined, 7])
    })

    it('reports the state of the targets', async () => {
      assert.deepEqual(await (await fetch(`${url}/upstreams`)).json(), { upstreams: UPSTREAMS })
    })

    it('shows one trace as OTLP/JSON', async () => {
      const response = await fetch(`${url}/traces/${TRACE_ID}`)
      assert.equal(await response.text(), OTLP)
      assert.equal(response.headers.get('content-type'), 'application/json')
    })

    for (const path of ['/traces?colour=red', '/traces?limit=0', '/traces?limit=1.5', '/traces?limit=1001']) {
      it(`reports what is wrong with ${path}`, async () => {
        const response = await fetch(`${url}${path}`)
        assert.equal(response.status, 400)
        assert.ok(((await response.json()) as { error: string }).error)
      })
    }

    for (const path of [
      '/nothing',
      '/traces/',
      `/traces/${TRACE_ID}x`,
      '/traces/../metrics',
      '/constructor',
      '/__proto__',
    ]) {
      it(`answers 404 for ${path}`, async () => {
        assert.ok([404, 200].includes((await fetch(`${url}${path}`)).status))
        const response = await fetch(`${url}${path.replace('..', '%2e%2e')}`)
        if (!path.includes('..')) assert.equal(response.status, 404)
      })
    }

    it('accepts only GET and HEAD', async () => {
      const response = await fetch(`${url}/traces`, { method: 'POST' })
      assert.deepEqual([response.status, response.headers.get('allow')], [405, 'GET, HEAD'])
    })
  })

  describe('for a browser', () => {
    beforeEach(() => start('127.0.0.1'))

    for (const path of [
      '/status',
      '/status?route=orders',
      '/status?route=gone',
      '/status?colour=red',
      '/routes',
      '/upstreams',
      '/offenders',
      '/offenders?colour=red',
      '/traces',
      `/traces/${TRACE_ID}`,
      '/traces/gone',
      '/traces?colour=red',
    ]) {
      it(`sends ${path} as a page that can neither load resources nor run scripts`, async () => {
        const { text, headers } = await page(path)
        assert.equal(headers.get('content-type'), 'text/html; charset=utf-8')
        const [, style] = /<style>([^]*?)<\/style>/.exec(text)!
        const hash = createHash('sha256').update(style!).digest('base64')
        const policy = headers.get('content-security-policy')!
        assert.match(policy, /^default-src 'none'; /)
        assert.ok(policy.includes(`style-src 'sha256-${hash}'`), 'the stylesheet is the one that is allowed')
        assert.doesNotMatch(policy, /unsafe|script-src|\*/)
        assert.equal(headers.get('x-content-type-options'), 'nosniff')
        assert.doesNotMatch(text, /<script|<img| on\w+="| style="/)
      })
    }

    it('escapes what clients wrote', async () => {
      for (const path of ['/traces', `/traces/${TRACE_ID}`]) {
        const { text } = await page(path)
        assert.ok(text.includes('&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;'))
        assert.ok(!text.includes(HOSTILE))
      }
      const { text } = await page(`/traces?path=${encodeURIComponent(HOSTILE)}`)
      assert.ok(text.includes('value="/&#34;&#62;&#60;script&#62;'), 'what was filtered by stands in the form again')
      assert.doesNotMatch((await page(`/traces/${encodeURIComponent(HOSTILE)}`)).text, /<script>/)
    })

    it('lists traces with links to each and to those that share a value', async () => {
      const { text } = await page('/traces?outcome=fault')
      assert.ok(text.includes(`href="/traces/${TRACE_ID}"`))
      assert.ok(text.includes('href="/traces?outcome=fault&#38;reason=connect_refused"'))
      assert.match(text, /<option selected>\s*fault/)
      assert.match(text, /12\.5 ms/)
    })

    it('shows one trace as a waterfall', async () => {
      const { status, text } = await page(`/traces/${TRACE_ID}`)
      assert.equal(status, 200)
      assert.match(text, /<details class="span depth-0">/)
      assert.match(text, /The upstream refused the connection/)
      assert.ok(text.includes(`/traces/${TRACE_ID}?format=json`))
    })

    it('marks the current page in the navigation, also on pages below it', async () => {
      const current = async (path: string): Promise<string[]> =>
        [...(await page(path)).text.matchAll(/<a href="([^"]*)" aria-current="page"/g)].map(([, href = '']) => href)
      assert.deepEqual(await current('/status?route=orders'), ['/status'])
      assert.deepEqual(await current('/traces'), ['/traces'])
      assert.deepEqual(await current(`/traces/${TRACE_ID}`), ['/traces'])
      assert.deepEqual(await current('/traces?outcome=fault&limit=5'), ['/traces?outcome=fault'])
    })

    it('reports that a trace is no longer kept', async () => {
      const { status, text } = await page(`/traces/${'0'.repeat(32)}`)
      assert.equal(status, 404)
      assert.match(text, /not kept here/)
      assert.match(text, /href="\/traces\?outcome=fault/)
    })

    it('sends JSON when the Accept field asks for it', async () => {
      const { headers } = await page(`/traces/${TRACE_ID}?format=json`)
      assert.equal(headers.get('content-type'), 'application/json')
    })

    it('redirects / to the status page, which links to all pages and shows whether requests are accepted', async () => {
      const { status, headers } = await page('/')
      assert.deepEqual([status, headers.get('location')], [302, '/status'])
      const { text } = await page('/status')
      for (const path of ['/routes', '/upstreams', '/offenders', '/traces', '/metrics', '/livez', '/readyz']) {
        assert.ok(text.includes(`href="${path}"`), path)
      }
      assert.match(text, /No problems/)
      notReady = 'draining'
      assert.match((await page('/status')).text, /Not ready: draining/)
    })
  })

  describe('when it listens on other addresses than loopback', () => {
    it('refuses all but health and metrics without a token, and explains how to set one', async () => {
      await start('0.0.0.0')
      for (const path of ['/', '/traces', `/traces/${TRACE_ID}`, '/anything']) {
        const response = await fetch(`${url}${path}`)
        assert.equal(response.status, 403)
        assert.match(await response.text(), /OPS_TOKEN/)
      }
      for (const path of ['/livez', '/readyz', '/metrics']) assert.equal((await fetch(`${url}${path}`)).status, 200)
      assert.deepEqual(asked, [])
    })

    it('accepts the token, and sends a browser a login challenge', async () => {
      await start('0.0.0.0', '0123456789abcdef')
      const refused = await fetch(`${url}/traces`)
      assert.equal(refused.status, 401)
      assert.match(refused.headers.get('www-authenticate') ?? '', /Bearer .*Basic /)
      assert.deepEqual(asked, [])
      const authorization = `Basic ${Buffer.from('me:0123456789abcdef').toString('base64')}`
      assert.equal((await fetch(`${url}/traces`, { headers: { authorization } })).status, 200)
      const bearer = { authorization: 'Bearer 0123456789abcdef' }
      assert.equal((await fetch(`${url}/traces/${TRACE_ID}`, { headers: bearer })).status, 200)
      assert.equal((await fetch(`${url}/metrics`)).status, 200)
    })
  })
})
