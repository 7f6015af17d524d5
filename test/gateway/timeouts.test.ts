import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { openRaw } from '../support/raw-http'
import { open, problemOf, responseTo, send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

/** Begins its response at once and then sends `count` bytes, one every 100 ms. */
const trickle =
  (count: number): RequestListener =>
  (_request, response) => {
    response.flushHeaders()
    let sent = 0
    const timer = setInterval(() => {
      if (response.destroyed || sent++ === count) {
        clearInterval(timer)
        response.end()
      } else response.write('x')
    }, 100)
  }

describe('timeouts', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  async function start(handler: RequestListener, options: { route?: object; upstream?: object }): Promise<void> {
    upstream = await startUpstream(handler)
    pipeline = await startPipeline(proxyTo(upstream.url, options))
  }

  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  /** Milliseconds until the response, which is a 504. */
  async function timeToFail(): Promise<number> {
    const started = performance.now()
    const answer = await send(pipeline.port, '/app')
    assert.equal(answer.status, 504)
    assert.equal(problemOf(answer)['reason'], 'response_timeout')
    return performance.now() - started
  }

  it('of a route override those of its upstream', async () => {
    const ours = { timeouts: { response: '250ms' } }
    await start(() => undefined, { route: ours, upstream: { timeouts: { response: '1h' } } })
    const took = await timeToFail()
    assert.ok(took >= 240 && took < 900, `${took} ms`)
  })

  it('are not extended by an upstream that keeps sending 1xx responses', async () => {
    const busy: RequestListener = (_request, response) => {
      const timer = setInterval(() => response.writeProcessing(), 50)
      response.on('close', () => clearInterval(timer))
    }
    await start(busy, { upstream: { timeouts: { response: '300ms' } } })
    const client = await openRaw(pipeline.port)
    const started = performance.now()
    client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    assert.match(await client.waitFor('"response_timeout"'), /^HTTP\/1\.1 102 Processing\r\n/)
    const took = performance.now() - started
    assert.ok(took >= 290 && took < 1_500, `${took} ms`)
    client.destroy()
  })

  it('allow a stream to be silent for longer than the response timeout', async () => {
    await start(trickle(3), { upstream: { timeouts: { response: '50ms', idle: '5s' } } })
    assert.equal((await send(pipeline.port, '/app')).text, 'xxx')
  })

  it('allow a response to begin later than the idle timeout of its body', async () => {
    const late: RequestListener = (_request, response) => void setTimeout(() => response.end('late'), 200)
    await start(late, { upstream: { timeouts: { response: '5s', idle: '50ms' } } })
    assert.equal((await send(pipeline.port, '/app')).text, 'late')
  })

  it('abort a response that stops sending', async () => {
    const half: RequestListener = (_request, response) => void response.write('half')
    await start(half, { upstream: { timeouts: { response: '1h', idle: '100ms' } } })
    await assert.rejects(send(pipeline.port, '/app'))
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'fault', reason: 'response_timeout' }])
  })

  it('limit the whole exchange: a slow response is aborted and not retried', async () => {
    const timeouts = { response: '1h', total: '250ms' }
    await start(() => undefined, {
      upstream: { timeouts, retries: { attempts: 5, conditions: ['response_timeout'] } },
    })
    const took = await timeToFail()
    assert.ok(took >= 240 && took < 900, `${took} ms`)
    assert.equal(upstream.requests.length, 1)
    await until(async () => (await connectionsOf(upstream)) === 0, { what: 'the call is cancelled' })
  })

  it('limit the whole exchange: all retries together', async () => {
    const timeouts = { response: '100ms', total: '250ms' }
    await start(() => undefined, {
      upstream: { timeouts, retries: { attempts: 10, conditions: ['response_timeout'] } },
    })
    const took = await timeToFail()
    assert.ok(took >= 240 && took < 900, `${took} ms`)
    assert.ok(upstream.requests.length >= 2 && upstream.requests.length <= 3, `${upstream.requests.length} calls`)
  })

  it('limit the whole exchange: an endless stream', async () => {
    await start(trickle(1_000), { route: { timeouts: { total: '350ms' } } })
    const client = await openRaw(pipeline.port)
    client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    const received = await client.closed(2_000)
    assert.match(received, /\r\nx\r\n/)
    assert.ok(!received.includes('\r\n0\r\n'), 'no last chunk')
  })

  it('limit the whole exchange: a request that waits for a free connection', async () => {
    await start(() => undefined, { upstream: { maxConnections: 1, timeouts: { response: '1h', total: '400ms' } } })
    const first = open(pipeline.port, { path: '/app' })
    const answered = responseTo(first)
    first.end()
    await until(() => upstream.requests.length === 1, { what: 'the only connection is taken' })
    const took = await timeToFail()
    assert.ok(took < 900, `${took} ms`)
    assert.equal((await answered).statusCode, 504)
  })

  it('limit the wait for a free connection, whatever other requests do with theirs', async () => {
    const stream: RequestListener = (_request, response) => response.write('begun')
    await start(stream, {
      upstream: { maxConnections: 1, timeouts: { connect: '100ms', response: '150ms', idle: '1h' } },
    })
    const first = open(pipeline.port, { path: '/app' })
    first.on('error', () => undefined)
    first.end()
    const streaming = await responseTo(first)
    streaming.on('error', () => undefined)
    const started = performance.now()
    const answers = await Promise.all(Array.from({ length: 5 }, () => send(pipeline.port, '/app')))
    const took = performance.now() - started
    for (const answer of answers) {
      assert.deepEqual([answer.status, problemOf(answer)['reason']], [503, 'overloaded'])
      assert.equal(answer.headers['retry-after'], '1')
    }
    assert.ok(took >= 240 && took < 900, `${took} ms`)
    assert.deepEqual((await pipeline.ended(5))[0], { route: '/app', outcome: 'refusal', reason: 'overloaded' })
    assert.equal(upstream.requests.length, 1)

    // Requests that timed out do not occupy the connection once it is free.
    let connections = 0
    upstream.server.on('connection', () => connections++)
    upstream.handler = (_request, response) => response.end('served')
    first.destroy()
    assert.equal((await send(pipeline.port, '/app')).text, 'served')
    assert.deepEqual([upstream.requests.length, connections], [2, 1])
  })

  it('are not needed to refuse a request with a hundred others waiting before it', async () => {
    await start(() => undefined, { upstream: { maxConnections: 1, timeouts: { response: '1h' } } })
    const waiting = Array.from({ length: 101 }, () => open(pipeline.port, { path: '/app' }))
    for (const each of waiting) each.on('error', () => undefined).end()
    await until(async () => (await pipeline.connections()) === 101, { what: 'all are there' })
    const answer = await until(
      async () => {
        const timer = AbortSignal.timeout(200)
        const answer = await fetch(`${pipeline.url}/app`, { signal: timer }).catch(() => undefined)
        return answer?.status === 503 && answer
      },
      { what: 'one more is refused' },
    )
    assert.match(await answer.text(), /"overloaded"/)
    for (const each of waiting) each.destroy()
    await pipeline.ended(102)
    upstream.handler = (_request, response) => response.end('served')
    // As soon as the call that held the connection is cancelled, the queue is empty.
    await until(async () => (await send(pipeline.port, '/app')).text === 'served', { what: 'the next is served' })
  })
})

function connectionsOf({ server }: RunningUpstream): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)))
  })
}
