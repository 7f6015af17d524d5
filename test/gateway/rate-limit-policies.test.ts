import assert from 'node:assert/strict'
import { linesOf, send, type Answer, type Message } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('rate-limit policies', () => {
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

  async function limit(rateLimit: object | readonly object[], entrypoint: object = {}): Promise<void> {
    pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint, route: { rateLimit } }))
  }
  const ask = (message: Partial<Message> = {}): Promise<Answer> => send(pipeline.port, { path: '/app', ...message })
  async function statuses(...messages: Partial<Message>[]): Promise<number[]> {
    const seen = []
    for (const message of messages) seen.push((await ask(message)).status)
    return seen
  }
  /** The items of a list in one or more field lines, by name, each with its parameters. */
  function items(answer: Answer, field: string): Record<string, Record<string, string>> {
    return Object.fromEntries(
      linesOf(answer, field)
        .join(', ')
        .split(', ')
        .map(item => {
          // RFC 9651 §3.3: a string and its parameters, keys in lower case, whole numbers.
          assert.match(item, /^"[\x20-\x21\x23-\x5b\x5d-\x7e]*"(?:; *[a-z*][a-z0-9_.*-]*=-?\d{1,15})*$/)
          const [name = '', ...parameters] = item.split(/; */)
          return [name.slice(1, -1), Object.fromEntries(parameters.map(parameter => parameter.split('=')))]
        }),
    )
  }

  it('with gcra admit exactly one request after Retry-After, because quota returns evenly', async () => {
    await limit({ limit: 2, window: '2s', algorithm: 'gcra' })
    assert.deepEqual(await statuses({}, {}), [200, 200])
    const refused = await ask()
    const refusedAt = performance.now()
    assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '1'])
    await until(() => performance.now() - refusedAt >= 1_000, { what: 'Retry-After', intervalMs: 5 })
    assert.deepEqual(await statuses({}, {}), [200, 429])
  })

  it('count by a header field, and by the address of clients that do not send it', async () => {
    await limit({ limit: 1, window: '1h', key: 'header:x-tenant' })
    const a = { headers: { 'X-Tenant': 'a' } }
    const b = { headers: { 'x-tenant': 'b' } }
    assert.deepEqual(await statuses(a, a, b, b), [200, 429, 200, 429])
    assert.deepEqual(await statuses({}, {}, { localAddress: '127.0.0.2' }), [200, 429, 200])
    assert.deepEqual(await statuses({ headers: { 'x-tenant': '' } }), [429], 'an empty field is none')
  })

  it('count by a combination of keys', async () => {
    await limit({ limit: 1, window: '1h', key: ['client', 'header:x-tenant'] })
    const tenant = (name: string, localAddress = '127.0.0.1'): Partial<Message> => ({
      headers: { 'x-tenant': name },
      localAddress,
    })
    const seen = await statuses(tenant('a'), tenant('b'), tenant('a', '127.0.0.2'), tenant('a'), tenant('b'))
    assert.deepEqual(seen, [200, 200, 200, 429, 429])
  })

  it('charge each request the cost of its method', async () => {
    await limit({ limit: 10, window: '1h', cost: { post: 4 } })
    const post = { method: 'POST', body: 'x' }
    assert.deepEqual(await statuses(post, post, post, {}, {}, {}), [200, 200, 429, 200, 200, 429])
  })

  it('neither limit nor count clients on the bypass list', async () => {
    await limit({ limit: 1, window: '1h', bypass: ['127.0.0.2', '127.0.1.0/24'] })
    const from = (localAddress: string): Partial<Message> => ({ localAddress })
    const seen = await statuses(from('127.0.0.2'), from('127.0.0.2'), from('127.0.1.9'), from('127.0.1.9'))
    assert.deepEqual(seen, [200, 200, 200, 200])
    assert.equal((await ask(from('127.0.0.2'))).headers['ratelimit'], undefined)
    assert.deepEqual(await statuses({}, {}), [200, 429])
  })

  it('refuse no request and send no headers in dry-run mode', async () => {
    await limit([
      { name: 'tried', limit: 1, window: '1h', dryRun: true },
      { name: 'real', limit: 3, window: '1h' },
    ])
    const answers = [await ask(), await ask(), await ask(), await ask()]
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 429],
    )
    for (const answer of answers) {
      assert.deepEqual(Object.keys(items(answer, 'ratelimit')), ['real'])
      assert.deepEqual(Object.keys(items(answer, 'ratelimit-policy')), ['real'])
    }
  })

  it('report the remaining quota of each policy in valid structured fields', async () => {
    await limit([
      { name: 'burst', limit: 5, window: '10s', algorithm: 'gcra' },
      { name: 'daily', limit: 1_000, window: '1d' },
    ])
    const answer = await ask()
    assert.deepEqual(items(answer, 'ratelimit-policy'), {
      burst: { q: '5', w: '10' },
      daily: { q: '1000', w: '86400' },
    })
    assert.deepEqual(items(answer, 'ratelimit'), { burst: { r: '4', t: '2' }, daily: { r: '999', t: '86400' } })
  })

  it('use up no quota of other policies when one of them refuses', async () => {
    await limit([
      { name: 'burst', limit: 1, window: '1h' },
      { name: 'daily', limit: 5, window: '1d' },
    ])
    await ask()
    for (let i = 0; i < 3; i++) {
      const refused = await ask()
      assert.equal(refused.status, 429)
      assert.equal(items(refused, 'ratelimit')['daily']?.['r'], '4')
    }
  })

  it('send a Retry-After after which all of them admit the request, not only the first', async () => {
    await limit([
      { name: 'second', limit: 1, window: '1s' },
      { name: 'other-key', limit: 1, window: '1h', key: 'header:x-tenant' },
      { name: 'minute', limit: 1, window: '1m' },
    ])
    await ask()
    const refused = await ask()
    assert.equal(refused.status, 429)
    assert.equal(refused.headers['retry-after'], '3600')
  })

  it('also send the legacy headers if configured, for the policy with the least quota left', async () => {
    await limit([
      { name: 'wide', limit: 100, window: '1m', legacyHeaders: true },
      { name: 'narrow', limit: 2, window: '1m', legacyHeaders: true },
      { name: 'silent', limit: 1, window: '1m' },
    ])
    const { headers } = await ask()
    assert.equal(headers['x-ratelimit-limit'], '2')
    assert.equal(headers['x-ratelimit-remaining'], '1')
    const reset = Number(headers['x-ratelimit-reset']) - Date.now() / 1000
    assert.ok(reset > 58 && reset <= 61, `${reset} s`)
  })
})
