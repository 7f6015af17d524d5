import assert from 'node:assert/strict'
import { send } from '../support/send'
import { configOf, startPipeline, type GatewayFile, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const COOKIE = /^gateway-variant=([\da-f]{8}); Path=\/; HttpOnly; SameSite=Lax$/

describe('a split', () => {
  let stable: RunningUpstream
  let canary: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    stable = await startUpstream((_request, response) => response.end('stable'))
    canary = await startUpstream((_request, response) => response.end('canary'))
  })
  afterEach(async () => {
    await pipeline.stop()
    await stable.stop()
    await canary.stop()
  })

  function file(weights: [stable: number, canary: number], split: object = {}, upstream: object = {}): GatewayFile {
    const match = { headers: { 'x-canary': 'always' }, cookies: { canary: '1' } }
    return {
      upstreams: { shop: { targets: [stable.url] }, next: { targets: [canary.url], ...upstream } },
      routes: [
        {
          name: 'shop',
          match: { path: '/shop' },
          split: {
            variants: [
              { name: 'stable', upstream: 'shop', weight: weights[0] },
              { name: 'canary', upstream: 'next', weight: weights[1], match },
            ],
            ...split,
          },
        },
      ],
    }
  }

  async function ask(headers: Record<string, string> = {}): Promise<{ text: string; cookie: string | undefined }> {
    const { text, headers: answered } = await send(pipeline.port, { path: '/shop', headers })
    const [cookie] = answered['set-cookie'] ?? []
    return { text, cookie }
  }

  it('sends each variant its share of the requests', async () => {
    pipeline = await startPipeline(file([75, 25], { stickyBy: 'none' }))
    for (let i = 0; i < 400; i++) assert.equal((await ask()).cookie, undefined)
    // Seven standard deviations: 60.
    const share = canary.requests.length
    assert.ok(share > 40 && share < 160, `${share} of 400`)
    assert.equal(stable.requests.length, 400 - share)
  })

  it('keeps a client at its variant by a cookie without the name of the variant', async () => {
    pipeline = await startPipeline(file([50, 50]))
    const seen = new Set<string>()
    for (let i = 0; i < 20; i++) {
      const first = await ask()
      const [, position = ''] = COOKIE.exec(first.cookie ?? '') ?? assert.fail(first.cookie)
      seen.add(first.text)
      for (let again = 0; again < 3; again++) {
        const next = await ask({ cookie: `a=b; gateway-variant=${position}; c=d` })
        assert.deepEqual(next, { text: first.text, cookie: undefined })
      }
    }
    assert.deepEqual(seen, new Set(['canary', 'stable']))
  })

  it('replaces a cookie that it did not issue', async () => {
    pipeline = await startPipeline(file([50, 50]))
    for (const value of ['', 'canary', '123456789', '0000000G']) {
      assert.match((await ask({ cookie: `gateway-variant=${value}` })).cookie ?? '', COOKIE)
    }
  })

  it('moves no client back to stable while the share of the canary grows', async () => {
    const positions = Array.from({ length: 60 }, (_, i) => ((i * 0x9e3779b1) >>> 0).toString(16).padStart(8, '0'))
    pipeline = await startPipeline(file([95, 5]))
    let atCanary = new Set<string>()
    for (const weight of [5, 30, 60]) {
      pipeline.reload(file([100 - weight, weight]))
      const now = new Set<string>()
      for (const position of positions) {
        if ((await ask({ cookie: `gateway-variant=${position}` })).text === 'canary') now.add(position)
      }
      for (const position of atCanary) assert.ok(now.has(position), `${position} at ${weight} %`)
      assert.ok(now.size > atCanary.size || weight === 5)
      atCanary = now
    }
    pipeline.reload(file([100, 0]))
    for (const position of atCanary) assert.equal((await ask({ cookie: `gateway-variant=${position}` })).text, 'stable')
  })

  it('lets only testers reach a variant of weight 0', async () => {
    pipeline = await startPipeline(file([1, 0]))
    for (let i = 0; i < 20; i++) assert.equal((await ask()).text, 'stable')
    assert.deepEqual(await ask({ 'x-canary': 'always' }), { text: 'canary', cookie: undefined })
    assert.deepEqual(await ask({ cookie: 'x=canary=1; canary=1' }), { text: 'canary', cookie: undefined })
    assert.equal((await ask({ 'x-canary': 'never' })).text, 'stable')
    assert.equal((await ask({ cookie: 'notcanary=1' })).text, 'stable')
  })

  it('keeps a client at its variant by its address, without a cookie', async () => {
    pipeline = await startPipeline(file([50, 50], { stickyBy: 'client' }))
    const first = await ask()
    assert.equal(first.cookie, undefined)
    for (let i = 0; i < 10; i++) assert.equal((await ask()).text, first.text)
  })

  it('retries within the variant', async () => {
    const broken = await startUpstream((_request, response) => response.writeHead(503).end())
    const targets = { targets: [broken.url, canary.url], retries: { attempts: 2 }, ejection: { failures: 0 } }
    pipeline = await startPipeline(file([1, 0], {}, targets))
    for (let i = 0; i < 4; i++) assert.equal((await ask({ 'x-canary': 'always' })).text, 'canary')
    assert.equal(stable.requests.length, 0)
    assert.ok(broken.requests.length > 0)
    await broken.stop()
  })

  it('puts upstream and variant in the access log and the samples', async () => {
    pipeline = await startPipeline(file([1, 0]))
    await ask()
    await ask({ 'x-canary': 'always' })
    await pipeline.ended(2)
    const lines = pipeline.logs.filter(({ event }) => event === 'request')
    const logged = lines.map(({ route, upstream, variant }) => ({ route, upstream, variant }))
    assert.deepEqual(logged, [
      { route: '/shop', upstream: 'shop', variant: 'stable' },
      { route: '/shop', upstream: 'next', variant: 'canary' },
    ])
    const sampled = pipeline.samples
      .read({ fromMs: 0, toMs: Number.MAX_SAFE_INTEGER })
      .flatMap(({ samples }) => samples)
    assert.deepEqual(new Set(sampled.map(({ variant }) => variant)), new Set(['canary', 'stable']))
  })

  it('keeps the policies of the route in the variant', async () => {
    const { upstreams, routes } = file([1, 0])
    const edits = { responseHeaders: { set: { 'x-edited': 'yes' } }, requestHeaders: { set: { 'x-asked': 'yes' } } }
    pipeline = await startPipeline({ upstreams, routes: routes.map(route => ({ ...route, ...edits })) })
    assert.equal((await send(pipeline.port, '/shop')).headers['x-edited'], 'yes')
    assert.equal(stable.requests[0]?.headers['x-asked'], 'yes')
  })

  it('finishes requests of a variant that a reload removes', async () => {
    let finish: (() => void) | undefined
    canary.handler = (_request, response) => (finish = () => response.end('late'))
    pipeline = await startPipeline(file([1, 0]))
    const slow = ask({ 'x-canary': 'always' })
    const answer = await until(() => finish, { what: 'the call' })
    const shop = { name: 'shop', match: { path: '/shop' }, upstream: 'shop' }
    pipeline.reload({ upstreams: { shop: { targets: [stable.url] } }, routes: [shop] })
    assert.equal((await ask({ 'x-canary': 'always' })).text, 'stable')
    answer()
    assert.equal((await slow).text, 'late')
  })
})

describe('a split in the file', () => {
  const upstreams = { shop: { targets: ['http://127.0.0.1:1'] }, next: { targets: ['http://127.0.0.1:2'] } }
  const problemOf = (split: object, more: object = {}): string => {
    try {
      configOf({ upstreams, routes: [{ name: 'shop', match: { path: '/shop' }, split, ...more }] })
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  const stable = { name: 'stable', upstream: 'shop', weight: 1 }
  const canary = { name: 'canary', upstream: 'next', weight: 1 }

  it('is refused with the reason', () => {
    assert.equal(problemOf({ variants: [stable, canary] }), '')
    assert.match(problemOf({ variants: [stable, canary] }, { upstream: 'shop' }), /"split" is here beside "upstream"/)
    assert.match(
      problemOf({ variants: [stable, { ...canary, upstream: 'nxt' }] }),
      /split\.variants\[1\]\.upstream\s+"nxt" is not an upstream/,
    )
    assert.match(problemOf({ variants: [stable, { ...canary, name: 'stable' }] }), /"stable" appears twice/)
    assert.match(problemOf({ variants: [stable] }), /"variants" has too few entries\s+allowed: at least 2 entries/)
    assert.match(
      problemOf({
        variants: [
          { ...stable, weight: 0 },
          { ...canary, weight: 0 },
        ],
      }),
      /a list has no weight above 0/,
    )
    assert.match(problemOf({ variants: [stable, { ...canary, match: {} }] }), /match\s+a map has nothing in it/)
    assert.match(
      problemOf({ variants: [stable, canary], stickyBy: 'none', cookie: { ttl: '1h' } }),
      /no effect with stickyBy: none/,
    )
    assert.match(problemOf({ variants: [stable, canary], cookie: { name: '__Host-v' } }), /prefix/)
    assert.match(problemOf({ variants: [stable, canary], stickyBy: 'session' }), /cookie/)
  })
})
