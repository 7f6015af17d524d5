import assert from 'node:assert/strict'
import { problemOf, send } from '../support/send'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('access lists', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream()
  })
  afterEach(async () => {
    await pipeline.stop()
  })
  after(async () => {
    await upstream.stop()
  })

  /** A trusted proxy at loopback that reports the client's address. */
  async function start(entrypoint: object, route: object = {}): Promise<void> {
    pipeline = await startPipeline({
      entrypoint: { trustedProxies: ['127.0.0.1'], ...entrypoint },
      upstreams: { app: { targets: [upstream.url] } },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app', ...route },
        { name: 'other', match: { path: '/other' }, upstream: 'app' },
      ],
    })
  }
  async function statusFor(client: string, path = '/app'): Promise<number> {
    const answer = await send(pipeline.port, { path, headers: { 'x-forwarded-for': client } })
    if (answer.status === 403) assert.equal(problemOf(answer)['reason'], 'forbidden')
    return answer.status
  }

  it('admit the clients that they allow, and no others', async () => {
    await start({ access: { allow: ['10.0.0.0/8', '2001:db8::/32'] } })
    assert.equal(await statusFor('10.1.2.3'), 200)
    assert.equal(await statusFor('2001:db8::7'), 200)
    assert.equal(await statusFor('::ffff:10.1.2.3'), 200)
    assert.equal(await statusFor('192.0.2.1'), 403)
    assert.equal(await statusFor('2001:db9::7'), 403)
    assert.equal(await statusFor('::ffff:192.0.2.1'), 403)
  })

  it('refuse the clients that they deny, even if they are also allowed', async () => {
    await start({ access: { allow: ['10.0.0.0/8'], deny: ['10.9.0.0/16'] } })
    assert.equal(await statusFor('10.8.0.1'), 200)
    assert.equal(await statusFor('10.9.0.1'), 403)
  })

  it('of a route apply in addition to those of the entrypoint', async () => {
    await start({ access: { deny: ['10.9.9.9'] } }, { access: { allow: ['10.0.0.0/8'] } })
    assert.equal(await statusFor('10.1.1.1'), 200)
    assert.equal(await statusFor('10.9.9.9'), 403)
    assert.equal(await statusFor('192.0.2.1'), 403)
    assert.equal(await statusFor('192.0.2.1', '/other'), 200)
    assert.equal(await statusFor('10.9.9.9', '/other'), 403)
  })

  it('of the entrypoint also apply to the gateway’s own page', async () => {
    await start({ access: { allow: ['10.0.0.0/8'] } })
    assert.equal(await statusFor('192.0.2.1', '/'), 403)
    assert.equal(await statusFor('10.0.0.1', '/'), 200)
    assert.deepEqual((await pipeline.ended(1))[0], { route: '/', outcome: 'refusal', reason: 'forbidden' })
  })

  it('use the address of the connection where no proxy is trusted', async () => {
    await start({ trustedProxies: [], access: { allow: ['10.0.0.0/8'] } })
    assert.equal(await statusFor('10.1.2.3'), 403)
  })

  it('cannot be bypassed with an invalid address', async () => {
    await start({ access: { deny: ['10.0.0.0/8'] } })
    assert.equal(await statusFor('10.1.2.3:80'), 403)
    for (const nonsense of ['unknown', '010.1.2.3', '8.8.8.8, unknown', '8.8.8.8, _hidden']) {
      assert.equal(await statusFor(nonsense), 403, nonsense)
    }
    // The proxy names no client, so the request is its own, for example a health check.
    assert.equal(await statusFor(''), 200)
    assert.equal(await statusFor('unknown, 10.1.2.3'), 403)
  })

  it('refuse a client that a trusted proxy does not know, and never use the proxy’s address for it', async () => {
    await start({ access: { allow: ['127.0.0.0/8'] } })
    assert.equal(await statusFor('8.8.8.8, unknown'), 403)
    assert.equal(await statusFor('127.0.0.1, 127.0.0.1'), 200)
    const [{ status }] = [
      await send(pipeline.port, { path: '/app', headers: { forwarded: 'for=8.8.8.8, for=unknown' } }),
    ]
    assert.equal(status, 403)
    const refused = pipeline.logs.filter(entry => entry['event'] === 'request' && entry['outcome'] === 'refusal')
    assert.deepEqual(
      refused.map(({ client }) => client),
      [undefined, undefined],
    )
  })

  it('are checked before limits: a refused client uses up no quota', async () => {
    await start({ access: { deny: ['192.0.2.1'] } }, { rateLimit: { limit: 1, window: '1h', key: 'header:x-all' } })
    const ask = (client: string): Promise<{ status: number }> =>
      send(pipeline.port, { path: '/app', headers: { 'x-forwarded-for': client, 'x-all': '1' } })
    assert.equal((await ask('192.0.2.1')).status, 403)
    assert.equal((await ask('10.0.0.1')).status, 200)
    assert.deepEqual((await pipeline.ended(1))[0], { route: '/app', outcome: 'refusal', reason: 'forbidden' })
  })
})
