import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { freePort } from '../support/free-port'
import { problemOf, send } from '../support/send'
import { proxyTo, startPipeline, type GatewayFile, type Pipeline } from '../support/start-pipeline'
import { startRawUpstream } from '../support/start-raw-upstream'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const CHECK = { path: '/healthz?deep=1', interval: '20ms', timeout: '200ms', unhealthyAfter: 2, healthyAfter: 2 }

describe('health checks', () => {
  let one: RunningUpstream
  let two: RunningUpstream
  let pipeline: Pipeline
  let health: number

  /** Answers every request with 200; the test decides how it answers a health check. */
  const answer: RequestListener = ({ url }, response) => {
    response.writeHead(url?.startsWith('/healthz') ? health : 200).end('ok')
  }

  beforeEach(async () => {
    health = 200
    one = await startUpstream(answer)
    two = await startUpstream()
  })
  afterEach(async () => {
    await pipeline.stop()
    await one.stop()
    await two.stop()
  })

  function file(targets: readonly string[], upstream: object = {}): GatewayFile {
    return proxyTo('', { upstream: { targets, healthCheck: CHECK, ...upstream } })
  }

  function checksOf(upstream: RunningUpstream): number {
    return upstream.requests.filter(({ url }) => url === '/healthz?deep=1').length
  }

  /** How many of `count` requests each of the two targets received. */
  async function shares(count: number): Promise<[number, number]> {
    const before = [one, two].map(({ requests }) => requests.filter(({ url }) => url === '/app').length)
    for (let i = 0; i < count; i++) assert.equal((await send(pipeline.port, '/app')).status, 200)
    const after = [one, two].map(({ requests }) => requests.filter(({ url }) => url === '/app').length)
    return [after[0]! - before[0]!, after[1]! - before[1]!]
  }

  async function logged(fields: object): Promise<void> {
    await until(
      () => pipeline.logs.some(line => Object.entries(fields).every(([name, value]) => line[name] === value)),
      { what: JSON.stringify(fields) },
    )
  }

  it('eject an unhealthy target, and reinstate it when it is healthy again', async () => {
    pipeline = await startPipeline(file([one.url, two.url]))
    assert.deepEqual(await shares(4), [2, 2])
    health = 500
    await logged({ target: one.url, healthy: false, failure: 'status 500' })
    assert.deepEqual(await shares(4), [0, 4])
    health = 204
    await logged({ target: one.url, healthy: true })
    assert.deepEqual(await shares(4), [2, 2])
  })

  it('need several results before they change the state of a target', async () => {
    pipeline = await startPipeline(file([one.url, two.url], { healthCheck: { ...CHECK, unhealthyAfter: 100 } }))
    health = 503
    await until(() => checksOf(one) > 3, { what: 'some checks' })
    assert.deepEqual(await shares(4), [2, 2])
  })

  it('report why they failed: no connection, no answer or a broken answer', async () => {
    const silent = await startRawUpstream(() => undefined)
    const broken = await startRawUpstream(socket => socket.end('hello\r\n\r\n'))
    const refused = `http://127.0.0.1:${await freePort()}`
    const targets = [one.url, two.url, refused, silent.url, broken.url]
    pipeline = await startPipeline(file(targets))
    await logged({ target: refused, failure: 'ECONNREFUSED' })
    await logged({ target: silent.url, failure: 'no answer within 200 ms' })
    await logged({ target: broken.url, healthy: false })
    await silent.stop()
    await broken.stop()
  })

  it('use connections of their own, without client fields and trace context', async () => {
    pipeline = await startPipeline(file([one.url, two.url]))
    await until(() => checksOf(one) > 1, { what: 'some checks' })
    const { method, headers } = one.requests[0]!
    assert.equal(method, 'GET')
    assert.deepEqual(headers, {
      host: `127.0.0.1:${one.port}`,
      connection: 'close',
      'user-agent': 'myesi-gateway health check',
    })
  })

  it('are ignored when most targets fail them, because then the check itself is probably wrong', async () => {
    health = 404
    two.handler = answer
    pipeline = await startPipeline(file([one.url, two.url]))
    await logged({ target: one.url, healthy: false })
    await logged({ target: two.url, healthy: false })
    assert.deepEqual(await shares(4), [2, 2])
  })

  it('make the gateway answer 503 with Retry-After when most targets fail them, if the file says so', async () => {
    health = 404
    pipeline = await startPipeline(file([one.url], { panicThreshold: 0 }))
    await logged({ target: one.url, healthy: false })
    const answer = await send(pipeline.port, '/app')
    assert.equal(answer.status, 503)
    assert.equal(problemOf(answer)['reason'], 'no_healthy_upstream')
    assert.equal(answer.headers['retry-after'], '1')
    health = 200
    await logged({ target: one.url, healthy: true })
    assert.equal((await send(pipeline.port, '/app')).status, 200)
  })

  it('stop when the gateway closes', async () => {
    pipeline = await startPipeline(file([one.url, two.url]))
    await until(() => checksOf(one) > 0 && checksOf(two) > 0, { what: 'a check' })
    await pipeline.stop()
    const before = checksOf(one)
    pipeline = await startPipeline(file([two.url]))
    const others = checksOf(two)
    await until(() => checksOf(two) > others + 5, { what: 'as many checks as would have been made' })
    assert.equal(checksOf(one), before)
  })
})
