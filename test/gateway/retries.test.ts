import assert from 'node:assert/strict'
import { freePort } from '../support/free-port'
import { open, responseTo, send } from '../support/send'
import { proxyTo, startPipeline, type GatewayFile, type Pipeline } from '../support/start-pipeline'
import { startRawUpstream } from '../support/start-raw-upstream'
import { bodyOf, startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

/** One upstream whose first target in turn is `first`. */
function twoTargets(first: string, second: string, { route = {}, upstream = {} } = {}): GatewayFile {
  return proxyTo(first, { route, upstream: { targets: [first, second], retries: { attempts: 2 }, ...upstream } })
}

describe('retries', () => {
  let good: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    good = await startUpstream(
      (request, response) => void bodyOf(request).then(body => response.end(`good ${body.toString()}`)),
    )
  })
  afterEach(async () => {
    await pipeline.stop()
    await good.stop()
  })

  const failures = [
    ['reset', async () => startRawUpstream(socket => socket.resetAndDestroy())],
    ['502', async () => startUpstream((_request, response) => void response.writeHead(502).end('bad'))],
    ['503', async () => startUpstream((_request, response) => void response.writeHead(503).end('bad'))],
  ] as const
  for (const [failure, start] of failures) {
    it(`send a request to another target after ${failure}, and the client gets a success`, async () => {
      const bad = await start()
      pipeline = await startPipeline(twoTargets(bad.url, good.url))
      const answer = await send(pipeline.port, '/app')
      assert.equal(answer.text, 'good ')
      assert.equal(answer.status, 200)
      assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'ok', reason: undefined }])
      await bad.stop()
    })
  }

  it('send a request to another target when the connection is refused, a POST with its body too', async () => {
    pipeline = await startPipeline(twoTargets(`http://127.0.0.1:${await freePort()}`, good.url))
    for (let i = 0; i < 2; i++) {
      const answer = await send(pipeline.port, { path: '/app', method: 'POST', body: 'hello' })
      assert.equal(answer.text, 'good hello')
    }
    assert.equal(good.requests.length, 2)
  })

  it('cancel the failed call when the retry budget is used up', async () => {
    const bad = await startUpstream((_request, response) => void response.writeHead(503).end())
    pipeline = await startPipeline(proxyTo(bad.url, { upstream: { retries: { attempts: 2 } } }))
    await Promise.all(Array.from({ length: 40 }, () => send(pipeline.port, '/app')))
    await pipeline.ended(40)
    assert.ok(bad.requests.length > 40 && bad.requests.length < 80, `${bad.requests.length} calls`)
    assert.equal(pipeline.upstreams()[0]?.targets[0]?.activeCalls, 0)
    await bad.stop()
  })

  it('close an event stream that was replaced by a retry and free its connection', async () => {
    const stream = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'
    const bad = await startRawUpstream(socket => socket.end(stream))
    const upstream = { retries: { attempts: 2, conditions: ['bad_response'] } }
    pipeline = await startPipeline(twoTargets(bad.url, good.url, { upstream }))
    assert.equal((await send(pipeline.port, '/app')).text, 'good ')
    await pipeline.ended(1)
    assert.equal(pipeline.logs.find(({ event }) => event === 'request')?.['stream'], undefined)
    await bad.stop()
  })

  it('send a large upload completely after its first connection was refused', async () => {
    pipeline = await startPipeline(twoTargets(`http://127.0.0.1:${await freePort()}`, good.url))
    const body = Buffer.alloc(4 * 1024 * 1024, 'x')
    const answer = await send(pipeline.port, { path: '/app', method: 'PUT', body })
    assert.equal(answer.text.length, 'good '.length + body.length)
  })

  it('never repeat a POST that a target may have received', async () => {
    const bad = await startRawUpstream(socket => socket.resetAndDestroy())
    pipeline = await startPipeline(twoTargets(bad.url, good.url))
    assert.equal((await send(pipeline.port, { path: '/app', method: 'POST' })).status, 502)
    assert.equal(good.requests.length, 0)
    await bad.stop()
  })

  it('repeat a POST where the route allows it', async () => {
    const bad = await startRawUpstream(socket => socket.resetAndDestroy())
    pipeline = await startPipeline(twoTargets(bad.url, good.url, { route: { retry: 'always' } }))
    assert.equal((await send(pipeline.port, { path: '/app', method: 'POST' })).status, 200)
    await bad.stop()
  })

  it('never repeat a request whose body was sent, not even a PUT', async () => {
    const bad = await startRawUpstream(socket => socket.resetAndDestroy())
    pipeline = await startPipeline(twoTargets(bad.url, good.url, { route: { retry: 'always' } }))
    assert.equal((await send(pipeline.port, { path: '/app', method: 'PUT', body: 'hello' })).status, 502)
    assert.equal(good.requests.length, 0)
    await bad.stop()
  })

  it('are not made on a route with retry: never', async () => {
    const file = twoTargets(`http://127.0.0.1:${await freePort()}`, good.url, { route: { retry: 'never' } })
    pipeline = await startPipeline(file)
    assert.equal((await send(pipeline.port, '/app')).status, 502)
  })

  it('are not made after part of the response was passed on', async () => {
    const bad = await startRawUpstream(socket => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello', () => socket.resetAndDestroy())
    })
    pipeline = await startPipeline(twoTargets(bad.url, good.url))
    await assert.rejects(send(pipeline.port, '/app'))
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'fault', reason: 'reset' }])
    assert.equal(good.requests.length, 0)
    await bad.stop()
  })

  it('are made after the failures that the file lists, and after no others', async () => {
    const bad = await startUpstream((_request, response) => void response.writeHead(500).end('bad'))
    pipeline = await startPipeline(twoTargets(bad.url, good.url))
    assert.equal((await send(pipeline.port, '/app')).text, 'bad')
    await pipeline.stop()
    pipeline = await startPipeline(
      twoTargets(bad.url, good.url, { upstream: { retries: { attempts: 2, conditions: [500] } } }),
    )
    assert.equal((await send(pipeline.port, '/app')).text, 'good ')
    await bad.stop()
  })

  it('ask a single target again', async () => {
    let calls = 0
    const bad = await startUpstream((_request, response) => {
      response.writeHead(++calls === 3 ? 200 : 503).end(`call ${calls}`)
    })
    pipeline = await startPipeline(proxyTo(bad.url, { upstream: { retries: { attempts: 3 } } }))
    assert.equal((await send(pipeline.port, '/app')).text, 'call 3')
    await bad.stop()
  })

  it('stop after the maximum of attempts, and pass on the last response unchanged', async () => {
    let calls = 0
    const bad = await startUpstream((_request, response) => void response.writeHead(503).end(`call ${++calls}`))
    pipeline = await startPipeline(proxyTo(bad.url, { upstream: { retries: { attempts: 3 } } }))
    const answer = await send(pipeline.port, '/app')
    assert.deepEqual([answer.status, answer.text], [503, 'call 3'])
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'fault', reason: 'upstream_5xx' }])
    await bad.stop()
  })

  it('stop after the maximum of attempts, and report the last failure', async () => {
    const bad = await startRawUpstream(socket => socket.resetAndDestroy())
    pipeline = await startPipeline(proxyTo(bad.url, { upstream: { retries: { attempts: 4 } } }))
    assert.equal((await send(pipeline.port, '/app')).status, 502)
    assert.equal(bad.accepted, 4)
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'fault', reason: 'reset' }])
    await bad.stop()
  })

  it('stop at the budget: when all targets fail, retries add a fifth of the requests, or ten', async () => {
    const bad = await startUpstream((_request, response) => void response.writeHead(503).end())
    pipeline = await startPipeline(proxyTo(bad.url, { upstream: { retries: { attempts: 3 } } }))
    for (let i = 0; i < 100; i++) await send(pipeline.port, '/app')
    assert.equal(bad.requests.length, 120)
    await bad.stop()
  })

  it('keep the connection of a failed call if its response is small, and close it if it is endless', async () => {
    const small = await startRawUpstream(socket => {
      socket.write('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno')
    })
    pipeline = await startPipeline(proxyTo(small.url, { upstream: { retries: { attempts: 3 } } }))
    assert.equal((await send(pipeline.port, '/app')).text, 'no')
    assert.equal(small.accepted, 1)
    await pipeline.stop()
    await small.stop()

    const endless = await startRawUpstream(socket => {
      socket.write('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nno')
    })
    pipeline = await startPipeline(twoTargets(endless.url, good.url))
    assert.equal((await send(pipeline.port, '/app')).text, 'good ')
    await until(() => endless.open === 0, { what: 'the connection is given up' })
    await endless.stop()
  })

  it('stop when the client has left', async () => {
    const bad = await startUpstream((_request, response) => void response.writeHead(503).end())
    pipeline = await startPipeline(proxyTo(bad.url, { upstream: { retries: { attempts: 10 } } }))
    const client = open(pipeline.port, { path: '/app' })
    client.on('error', () => undefined) // the test closes this connection
    client.end()
    await until(() => bad.requests.length >= 4, { what: 'the pauses are long enough to leave in one', intervalMs: 1 })
    client.destroy()
    assert.equal((await pipeline.ended(1))[0]?.outcome, 'client_closed')
    assert.ok(bad.requests.length < 10, `${bad.requests.length} calls`)
    await bad.stop()
  })

  it('do not replace a response that arrives during the upload', async () => {
    const bad = await startUpstream((_request, response) => void response.writeHead(503).end('early'))
    pipeline = await startPipeline(twoTargets(bad.url, good.url))
    const upload = open(pipeline.port, { path: '/app', method: 'PUT' })
    upload.on('error', () => undefined) // the gateway closes the connection after its answer
    upload.write('first')
    assert.equal((await responseTo(upload)).statusCode, 503)
    upload.destroy()
    assert.equal(good.requests.length, 0)
    await bad.stop()
  })
})
