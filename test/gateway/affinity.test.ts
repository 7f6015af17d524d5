import assert from 'node:assert/strict'
import { send } from '../support/send'
import { configOf, proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

const COOKIE = /^gateway-target-app=([\da-f]{16}); Path=\/; HttpOnly; SameSite=Lax$/

describe('cookie affinity', () => {
  let targets: RunningUpstream[]
  let pipeline: Pipeline

  beforeEach(async () => {
    targets = []
    for (const name of ['a', 'b', 'c']) targets.push(await startUpstream((_request, response) => response.end(name)))
  })
  afterEach(async () => {
    await pipeline.stop()
    await Promise.all(targets.map(target => target.stop()))
  })

  async function start(upstream: object = {}, entrypoint: object = {}): Promise<void> {
    const urls = { targets: targets.map(({ url }) => url), affinity: {} }
    pipeline = await startPipeline({ ...proxyTo('', { upstream: { ...urls, ...upstream } }), entrypoint })
  }

  async function ask(headers: Record<string, string> = {}): Promise<{ text: string; cookie: string | undefined }> {
    const { text, headers: answered } = await send(pipeline.port, { path: '/app', headers })
    return { text, cookie: answered['set-cookie']?.[0] }
  }

  function tokenIn(cookie: string | undefined): string {
    return COOKIE.exec(cookie ?? '')?.[1] ?? assert.fail(cookie)
  }

  it('keeps a client at its target, and distributes new clients', async () => {
    await start()
    const homes = new Map<string, string>()
    for (let i = 0; i < 6; i++) {
      const { text, cookie } = await ask()
      homes.set(text, tokenIn(cookie))
    }
    assert.deepEqual([...homes.keys()], ['a', 'b', 'c'])
    assert.equal(new Set(homes.values()).size, 3)
    for (const [text, token] of homes) {
      for (let i = 0; i < 4; i++) {
        assert.deepEqual(await ask({ cookie: `x=y; gateway-target-app=${token}` }), { text, cookie: undefined })
      }
    }
  })

  it('names no address in the cookie, and depends on the secret', async () => {
    await start({ affinity: { cookie: { name: 'server', ttl: '1h', secret: 'a secret of 16 and more' } } })
    const { cookie } = await ask()
    assert.match(cookie ?? '', /^server=[\da-f]{16}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=3600$/)
    await pipeline.stop()
    await start({ affinity: { cookie: { name: 'server', ttl: '1h', secret: 'another secret of 16' } } })
    assert.notEqual((await ask()).cookie, cookie)
  })

  it('sends the cookie over TLS only if the client uses TLS', async () => {
    await start({}, { trustedProxies: ['127.0.0.1'] })
    assert.match(
      (await ask({ 'x-forwarded-proto': 'https', 'x-forwarded-for': '192.0.2.1' })).cookie ?? '',
      /; Secure$/,
    )
    assert.doesNotMatch((await ask()).cookie ?? '', /Secure/)
  })

  it('gives the client another target and its cookie when the target is ejected', async () => {
    await start({ retries: { attempts: 2 } })
    const first = await ask()
    const cookie = `gateway-target-app=${tokenIn(first.cookie)}`
    const home = targets['abc'.indexOf(first.text)] as RunningUpstream
    await home.stop()
    const second = await ask({ cookie })
    assert.notEqual(second.text, first.text)
    const moved = `gateway-target-app=${tokenIn(second.cookie)}`
    for (let i = 0; i < 4; i++) assert.deepEqual(await ask({ cookie: moved }), { text: second.text, cookie: undefined })
  })

  it('keeps the target of a client whose request failed once', async () => {
    await start({ retries: { attempts: 2 } })
    const first = await ask()
    const cookie = `gateway-target-app=${tokenIn(first.cookie)}`
    const home = targets['abc'.indexOf(first.text)] as RunningUpstream
    home.handler = (_request, response) => response.writeHead(503).end()
    const retried = await ask({ cookie })
    assert.notEqual(retried.text, first.text)
    assert.equal(retried.cookie, undefined)
    home.handler = (_request, response) => response.end('back')
    assert.deepEqual(await ask({ cookie }), { text: 'back', cookie: undefined })
  })

  it('gives a new cookie in place of an unknown one', async () => {
    await start()
    assert.match((await ask({ cookie: 'gateway-target-app=0123456789abcdef' })).cookie ?? '', COOKIE)
  })

  it('keeps clients at their targets when a reload adds one', async () => {
    await start()
    const first = await ask()
    const added = await startUpstream((_request, response) => response.end('d'))
    const urls = [added, ...targets].map(({ url }) => url)
    pipeline.reload(proxyTo('', { upstream: { targets: urls, affinity: {} } }))
    const cookie = `gateway-target-app=${tokenIn(first.cookie)}`
    for (let i = 0; i < 8; i++) assert.deepEqual(await ask({ cookie }), { text: first.text, cookie: undefined })
    await added.stop()
  })

  it('is refused with a short secret, which the message does not repeat', async () => {
    await start()
    const short = proxyTo('http://127.0.0.1:1', { upstream: { affinity: { cookie: { secret: 'tooshort' } } } })
    assert.throws(
      () => configOf(short),
      (error: Error) => /shorter than 16/.test(error.message) && !/tooshort/.test(error.message),
    )
  })
})
