import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { openRaw } from '../support/raw-http'
import { problemOf, send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('requests above the limit of requests in flight', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline
  let pending: ServerResponse[] = []

  beforeEach(async () => {
    pending = []
    upstream = await startUpstream((_request, response) => pending.push(response))
    pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint: { overload: { maxRequests: 3 } } }))
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  async function fill(): Promise<ReturnType<typeof send>[]> {
    const answers = Array.from({ length: 3 }, () => send(pipeline.port, '/app'))
    await until(() => pending.length === 3, { what: 'three calls' })
    return answers
  }
  async function empty(answers: readonly ReturnType<typeof send>[]): Promise<void> {
    for (const response of pending) response.end('ok')
    for (const answer of answers) assert.equal((await answer).status, 200)
  }

  it('get 503 with Retry-After, and reach neither limits nor upstream', async () => {
    const answers = await fill()
    const answer = await send(pipeline.port, '/app')
    assert.deepEqual([answer.status, problemOf(answer)['reason']], [503, 'shed'])
    assert.match(answer.headers['retry-after'] ?? '', /^[1-5]$/)
    assert.equal(answer.headers['cache-control'], 'no-store')
    assert.equal(upstream.requests.length, 3)
    await empty(answers)
  })

  it('are counted, and produce one log line together', async () => {
    const answers = await fill()
    for (let i = 0; i < 5; i++) await send(pipeline.port, '/app')
    const shed = { route: undefined, outcome: 'refusal', reason: 'shed' }
    assert.deepEqual(pipeline.counted, [shed, shed, shed, shed, shed])
    assert.equal(pipeline.logs.filter(({ event }) => event === 'shedding').length, 1)
    assert.equal(pipeline.logs.filter(({ event }) => event === 'request').length, 0)
    await empty(answers)
  })

  it('are shown on the status page', async () => {
    const answers = await fill()
    await send(pipeline.port, '/app')
    assert.equal(pipeline.requestsSeen(), 1)
    await empty(answers)
  })

  it('get Connection: close while the process stops', async () => {
    const answers = await fill()
    const client = await openRaw(pipeline.port)
    pipeline.drain()
    client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    assert.match(await client.closed(), /^HTTP\/1\.1 503 [^]*\r\nConnection: close\r\n/)
    await empty(answers)
  })

  it('are served again as soon as others have ended', async () => {
    await empty(await fill())
    const next = send(pipeline.port, '/app')
    await until(() => pending.length === 4, { what: 'the next call' })
    pending[3]?.end('ok')
    assert.equal((await next).status, 200)
  })

  it('do not block a scrape', async () => {
    const answers = await fill()
    assert.equal((await send(pipeline.port, '/metrics')).status, 200)
    await empty(answers)
  })

  it('are answered without waiting for a body', async () => {
    const answers = await fill()
    const client = await openRaw(pipeline.port)
    client.send('POST /app HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n')
    assert.match(await client.waitFor('"shed"'), /^HTTP\/1\.1 503 Service Unavailable\r\n[^]*\r\nConnection: close\r\n/)
    await client.closed()
    client.destroy()
    await empty(answers)
  })

  it('keep their connection when there is no body left to read', async () => {
    const answers = await fill()
    const client = await openRaw(pipeline.port)
    client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.waitFor('"shed"')
    await empty(answers)
    client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    await until(() => pending.length === 4, { what: 'the next call' })
    pending[3]?.end('ok')
    await client.waitFor('\r\n\r\nok')
    client.destroy()
  })
})
