import assert from 'node:assert/strict'
import { freePort } from '../support/free-port'
import { open, problemOf, send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startRawUpstream } from '../support/start-raw-upstream'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const BREAKER = { circuitBreaker: { failures: 3, openFor: '300ms' } }

describe('circuit breaker', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline
  let status: number

  beforeEach(async () => {
    status = 503
    upstream = await startUpstream((_request, response) => void response.writeHead(status).end())
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  async function statuses(count: number): Promise<number[]> {
    const seen: number[] = []
    for (let i = 0; i < count; i++) seen.push((await send(pipeline.port, '/app')).status)
    return seen
  }

  it('opens after consecutive failures: the target gets no requests, clients get 503 with Retry-After', async () => {
    pipeline = await startPipeline(proxyTo(upstream.url, { upstream: BREAKER }))
    assert.deepEqual(await statuses(5), [503, 503, 503, 503, 503])
    assert.equal(upstream.requests.length, 3)
    const answer = await send(pipeline.port, '/app')
    assert.equal(problemOf(answer)['reason'], 'circuit_open')
    assert.equal(answer.headers['retry-after'], '1')
    assert.deepEqual((await pipeline.ended(6)).at(-1), { route: '/app', outcome: 'fault', reason: 'circuit_open' })
    const line = pipeline.logs.find(entry => entry['event'] === 'upstream')
    assert.partialDeepStrictEqual(line, { level: 'warn', upstream: 'app', target: upstream.url, circuit: 'open' })
  })

  it('counts failed connections, and reports each one to the client at once', async () => {
    const target = `http://127.0.0.1:${await freePort()}`
    pipeline = await startPipeline(proxyTo(target, { upstream: BREAKER }))
    assert.deepEqual(await statuses(4), [502, 502, 502, 503])
  })

  it('does not open for failures with successes between them, nor for statuses that the file does not list', async () => {
    pipeline = await startPipeline(proxyTo(upstream.url, { upstream: BREAKER }))
    for (const next of [503, 503, 200, 503, 503, 404, 500, 500, 500, 500]) {
      status = next
      assert.deepEqual(await statuses(1), [next])
    }
    assert.equal(upstream.requests.length, 10)
  })

  it('closes with the first request that succeeds after the wait', async () => {
    pipeline = await startPipeline(proxyTo(upstream.url, { upstream: BREAKER }))
    await statuses(3)
    status = 200
    await until(async () => (await statuses(1))[0] === 200, { what: 'the target is asked again' })
    assert.equal(upstream.requests.length, 4)
    assert.deepEqual(await statuses(3), [200, 200, 200])
    assert.ok(pipeline.logs.some(entry => entry['circuit'] === 'closed'))
  })

  it('opens again when the request after the wait fails', async () => {
    pipeline = await startPipeline(proxyTo(upstream.url, { upstream: BREAKER }))
    await statuses(3)
    await until(async () => (await statuses(1)).length > 0 && upstream.requests.length === 4, { what: 'the probe' })
    assert.deepEqual(await statuses(3), [503, 503, 503])
    assert.equal(upstream.requests.length, 4)
  })

  it('admits one request at a time after the wait, and the next one when its client left', async () => {
    const slow = await startRawUpstream((socket, _number) => {
      if (slow.accepted <= 3) socket.destroy()
    })
    pipeline = await startPipeline(proxyTo(slow.url, { upstream: BREAKER }))
    assert.deepEqual(await statuses(3), [502, 502, 502])
    const probe = open(pipeline.port, { path: '/app' })
    probe.on('error', () => undefined) // the test closes this connection
    await until(() => pipeline.logs.some(entry => entry['circuit'] === 'half_open'), { what: 'the wait is over' })
    probe.end()
    await until(() => slow.accepted === 4, { what: 'the first goes through' })
    assert.deepEqual(await statuses(2), [503, 503])
    probe.destroy()
    await pipeline.ended(6)
    const next = open(pipeline.port, { path: '/app' })
    next.on('error', () => undefined)
    next.end()
    await until(() => slow.accepted === 5, { what: 'the next goes through' })
    next.destroy()
    await slow.stop()
  })

  it('ejects a failing target while others are healthy', async () => {
    const good = await startUpstream()
    const targets = [upstream.url, good.url]
    pipeline = await startPipeline(proxyTo('', { upstream: { ...BREAKER, targets } }))
    await statuses(6)
    assert.deepEqual(await statuses(4), [200, 200, 200, 200])
    assert.equal(upstream.requests.length, 3)
    await good.stop()
  })
})

describe('an upstream with several targets', () => {
  let good: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    good = await startUpstream()
  })
  afterEach(async () => {
    await pipeline.stop()
    await good.stop()
  })

  it('skips the target that is down by default, and with retries no client sees an error', async () => {
    const down = `http://127.0.0.1:${await freePort()}`
    const upstream = { targets: [down, good.url], retries: { attempts: 2 } }
    pipeline = await startPipeline(proxyTo('', { upstream }))
    for (let i = 0; i < 100; i++) assert.equal((await send(pipeline.port, '/app')).status, 200)
    assert.partialDeepStrictEqual(
      pipeline.logs.filter(entry => entry['event'] === 'upstream').map(entry => entry['target']),
      [down],
    )
  })

  it('uses all targets when most of them fail, because one alone would be overloaded', async () => {
    const bad = await startRawUpstream(socket => socket.end('this is no answer\r\n\r\n'))
    const worse = await startRawUpstream(socket => socket.end('nor is this\r\n\r\n'))
    pipeline = await startPipeline(proxyTo('', { upstream: { targets: [bad.url, worse.url, good.url] } }))
    for (let i = 0; i < 30; i++) await send(pipeline.port, '/app')
    assert.equal(pipeline.logs.filter(entry => entry['circuit'] === 'open').length, 2)
    const before = good.requests.length
    for (let i = 0; i < 9; i++) await send(pipeline.port, '/app')
    assert.equal(good.requests.length - before, 3)
    await Promise.all([bad.stop(), worse.stop()])
  })

  it('skips targets that refuse connections, however few remain', async () => {
    const down = [await freePort(), await freePort()].map(port => `http://127.0.0.1:${port}`)
    pipeline = await startPipeline(proxyTo('', { upstream: { targets: [...down, good.url] } }))
    for (let i = 0; i < 9; i++) assert.equal((await send(pipeline.port, '/app')).status, 200)
    assert.equal(good.requests.length, 9)
    assert.equal(pipeline.upstreams()[0]?.panicking, false)
  })

  it('skips targets that refuse connections when the file sets a circuit breaker, too', async () => {
    const down = [await freePort(), await freePort()].map(port => `http://127.0.0.1:${port}`)
    const upstream = { targets: [...down, good.url], circuitBreaker: { failures: 2, openFor: '1h' } }
    pipeline = await startPipeline(proxyTo('', { upstream }))
    for (let i = 0; i < 6; i++) await send(pipeline.port, '/app')
    for (let i = 0; i < 9; i++) assert.equal((await send(pipeline.port, '/app')).status, 200)
  })
})
