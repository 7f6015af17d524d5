import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { openRaw } from '../support/raw-http'
import { linesOf, problemOf, send, type Answer } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

/** The parts of a field value such as `RateLimit: "name"; r=1; t=60`. */
function partsOf(field: string | undefined): Record<string, string> {
  const [name = '', ...parts] = (field ?? '').split('; ')
  return Object.fromEntries([['name', name], ...parts.map(part => part.split('='))]) as Record<string, string>
}
const rateLimitOf = (answer: Answer): Record<string, string> => partsOf(String(answer.headers['ratelimit']))

describe('rate limit', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream()
  })
  afterEach(async () => {
    await pipeline.stop()
    upstream.requests.length = 0
  })
  after(async () => {
    await upstream.stop()
  })

  async function limit(rateLimit: object | readonly object[], entrypoint: object = {}, host?: string): Promise<void> {
    pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint, route: { rateLimit } }), host ? { host } : {})
  }

  it('admits requests up to the limit and refuses more, with a reason', async () => {
    await limit({ limit: 3, window: '1m' })
    const statuses = []
    for (let i = 0; i < 5; i++) statuses.push((await send(pipeline.port, '/app')).status)
    assert.deepEqual(statuses, [200, 200, 200, 429, 429])
    assert.equal(upstream.requests.length, 3)
    const refused = await send(pipeline.port, '/app')
    assert.partialDeepStrictEqual(problemOf(refused), {
      outcome: 'refusal',
      reason: 'limited',
      title: 'Too many requests',
    })
    assert.deepEqual((await pipeline.ended(6)).at(-1), { route: '/app', outcome: 'refusal', reason: 'limited' })
  })

  it('admits exactly the limit of many concurrent requests', async () => {
    await limit({ limit: 20, window: '1m' })
    const answers = await Promise.all(Array.from({ length: 60 }, () => send(pipeline.port, '/app')))
    assert.equal(answers.filter(({ status }) => status === 200).length, 20)
    assert.equal(answers.filter(({ status }) => status === 429).length, 40)
    assert.equal(upstream.requests.length, 20)
  })

  it('reports the remaining quota and its reset time on every response, to the second', async () => {
    await limit({ limit: 2, window: '90s' })
    const started = performance.now()
    const seconds = (): number => Math.ceil(90 - (performance.now() - started) / 1000)
    for (const [status, left] of [
      [200, '1'],
      [200, '0'],
      [429, '0'],
    ]) {
      const answer = await send(pipeline.port, '/app')
      assert.equal(answer.status, status)
      const { name, r, t } = rateLimitOf(answer)
      assert.deepEqual({ name, r }, { name: '"default"', r: left })
      assert.ok(Math.abs(Number(t) - seconds()) <= 1, `${t} of ${seconds()}`)
      const policy = partsOf(String(answer.headers['ratelimit-policy']))
      assert.partialDeepStrictEqual(policy, { name: '"default"', q: '2', w: '90' })
      assert.equal(answer.headers['retry-after'], status === 429 ? t : undefined)
    }
  })

  it('sends no legacy headers by default', async () => {
    await limit({ limit: 2, window: '1m' })
    const { headers } = await send(pipeline.port, '/app')
    assert.deepEqual(
      Object.keys(headers).filter(name => name.startsWith('x-ratelimit')),
      [],
    )
  })

  it('admits the client again when the window is over', async () => {
    await limit({ limit: 1, window: '1s' })
    assert.equal((await send(pipeline.port, '/app')).status, 200)
    const refused = await send(pipeline.port, '/app')
    assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '1'])
    const refusedAt = performance.now()
    await until(async () => (await send(pipeline.port, '/app')).status === 200, { what: 'a new window' })
    assert.ok(performance.now() - refusedAt < 1_500, 'Retry-After has told the truth')
  })

  it('sends its headers also when the upstream fails', async () => {
    pipeline = await startPipeline(proxyTo('http://127.0.0.1:1', { route: { rateLimit: { limit: 5, window: '1m' } } }))
    const answer = await send(pipeline.port, '/app')
    assert.equal(answer.status, 502)
    assert.equal(rateLimitOf(answer)['r'], '4')
  })

  it('with several policies is decided by the narrowest one', async () => {
    await limit([
      { name: 'burst', limit: 2, window: '1s' },
      { name: 'sustained', limit: 100, window: '1h' },
    ])
    const first = await send(pipeline.port, '/app')
    const fields = first.rawHeaders.filter((_, i) => first.rawHeaders[i - 1] === 'RateLimit')
    assert.deepEqual(
      fields.map(partsOf).map(({ name, r }) => [name, r]),
      [
        ['"burst"', '1'],
        ['"sustained"', '99'],
      ],
    )
    await send(pipeline.port, '/app')
    const refused = await send(pipeline.port, '/app')
    assert.equal(refused.status, 429)
    assert.equal(refused.headers['retry-after'], '1')
  })

  it('adds its fields to those of an upstream that limits as well', async () => {
    await limit({ limit: 5, window: '1m' })
    upstream.handler = (_request, response) => response.setHeader('RateLimit', '"inner"; r=1; t=9').end()
    const answer = await send(pipeline.port, '/app')
    upstream.handler = (_request, response) => response.end('ok')
    const names = linesOf(answer, 'ratelimit').map(field => partsOf(field)['name'])
    assert.deepEqual(names, ['"inner"', '"default"'])
  })

  it('counts each route separately', async () => {
    const rateLimit = { limit: 1, window: '1m' }
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] } },
      routes: ['a', 'b'].map(name => ({ name, match: { path: `/${name}` }, upstream: 'app', rateLimit })),
    })
    assert.equal((await send(pipeline.port, '/a')).status, 200)
    assert.equal((await send(pipeline.port, '/b')).status, 200)
    assert.equal((await send(pipeline.port, '/a/below?x')).status, 429)
  })

  it('counts each client separately', async () => {
    await limit({ limit: 1, window: '1m' })
    assert.equal((await send(pipeline.port, { path: '/app', localAddress: '127.0.0.2' })).status, 200)
    assert.equal((await send(pipeline.port, { path: '/app', localAddress: '127.0.0.3' })).status, 200)
    assert.equal((await send(pipeline.port, { path: '/app', localAddress: '127.0.0.2' })).status, 429)
  })

  it('cannot be bypassed with addresses that a client invents', async () => {
    await limit({ limit: 1, window: '1m' })
    const statuses = []
    for (let i = 1; i < 4; i++) {
      const forged = { 'X-Forwarded-For': `198.51.100.${i}`, Forwarded: `for=198.51.100.${i}`, 'X-Real-IP': `${i}` }
      statuses.push((await send(pipeline.port, { path: '/app', headers: forged })).status)
    }
    assert.deepEqual(statuses, [200, 429, 429])
  })

  it('counts the clients behind a trusted proxy, and ignores the addresses they prepend', async () => {
    await limit({ limit: 1, window: '1m' }, { trustedProxies: ['127.0.0.1'] })
    const from = async (list: string): Promise<number> =>
      (await send(pipeline.port, { path: '/app', headers: { 'X-Forwarded-For': list } })).status
    assert.equal(await from('198.51.100.1'), 200)
    assert.equal(await from('198.51.100.2'), 200)
    assert.equal(await from('203.0.113.99, 198.51.100.1'), 429)
  })

  it('counts all clients that a trusted proxy does not know as one, separate from the proxy', async () => {
    await limit({ limit: 1, window: '1m', bypass: ['127.0.0.0/8'] }, { trustedProxies: ['127.0.0.1'] })
    const from = async (list: string): Promise<number> =>
      (await send(pipeline.port, { path: '/app', headers: { 'X-Forwarded-For': list } })).status
    assert.equal(await from('198.51.100.1, unknown'), 200)
    assert.equal(await from('198.51.100.2, _a'), 429)
    assert.equal(await from('_b'), 429)
    assert.equal(await from('198.51.100.1'), 200)
  })

  it('counts an IPv6 client by its block, because one client has too many addresses to count', async () => {
    await limit({ limit: 1, window: '1m' }, { trustedProxies: ['127.0.0.1'] })
    const from = async (address: string): Promise<number> =>
      (await send(pipeline.port, { path: '/app', headers: { 'X-Forwarded-For': address } })).status
    assert.equal(await from('2001:db8:0:1::1'), 200)
    assert.equal(await from('2001:db8:0:2::ffff'), 429)
    assert.equal(await from('2001:db8:1::1'), 200)
  })

  it('reads the body of a refused request and leaves its connection usable', async () => {
    await limit({ limit: 1, window: '1m' })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const post = (): Promise<Answer> => send(pipeline.port, { method: 'POST', path: '/app', body: 'hello', agent })
    assert.equal((await post()).status, 200)
    const refused = await post()
    assert.deepEqual([refused.status, refused.headers.connection], [429, 'keep-alive'])
    assert.equal((await send(pipeline.port, { path: '/', agent })).status, 200)
    agent.destroy()
  })

  it('refuses HEAD without a body', async () => {
    await limit({ limit: 1, window: '1m' })
    const client = await openRaw(pipeline.port)
    client.send('HEAD /app HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2))
    const received = await client.waitFor(/429[^]*\r\n\r\n$/)
    assert.match(received, /\r\nRetry-After: \d+\r\n/)
    client.destroy()
  })
})
