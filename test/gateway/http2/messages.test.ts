import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ClientHttp2Session } from 'node:http2'
import { answerOn, openHttp2, sendHttp2 } from '../../support/http2-client'
import {
  END_HEADERS,
  FRAME,
  frame,
  headerBlock,
  openFrames,
  requestFields,
  resetFrame,
} from '../../support/http2-frames'
import { startPipeline, type Pipeline } from '../../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../../support/start-upstream'
import { until } from '../../support/until'

/** What HTTP/2 does otherwise; what both do is in `test/gateway/both-protocols.test.ts`. */
describe('streams of HTTP/2', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline
  let session: ClientHttp2Session

  before(async () => {
    upstream = await startUpstream()
  })
  beforeEach(async () => {
    upstream.handler = (_request, response) => response.end('ok')
    upstream.requests.length = 0
    pipeline = await startPipeline({
      entrypoint: { http2: { cleartext: true } },
      upstreams: { app: { targets: [upstream.url] } },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app' },
        { name: 'small', match: { path: '/small' }, upstream: 'app', maxBodySize: '10B' },
      ],
    })
    session = await openHttp2(pipeline.url)
  })
  afterEach(async () => {
    session.destroy()
    await pipeline.stop()
  })
  after(async () => {
    await upstream.stop()
  })

  it('reach the upstream in the same form as those of HTTP/1.1', async () => {
    const answer = await sendHttp2(session, {
      ':path': '/app/%61?b=1',
      ':authority': 'shop.example',
      cookie: ['a=1', 'b=2'],
      'x-one': 'caf\u00e9',
    })
    assert.deepEqual([answer.status, answer.text], [200, 'ok'])
    const [seen] = upstream.requests
    assert.equal(seen?.url, '/app/a?b=1')
    const { headers } = seen
    assert.equal(headers.cookie, 'a=1; b=2')
    assert.equal(headers['x-one'], 'caf\u00e9')
    assert.equal(headers['x-forwarded-host'], 'shop.example')
    assert.equal(headers.via, '2 myesi-gateway')
    assert.equal(headers.forwarded, 'for=127.0.0.1;host="shop.example";proto=http')
    assert.deepEqual(
      Object.keys(headers).filter(name => name.startsWith(':')),
      [],
    )
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'ok', reason: undefined }])
  })

  it('return all response fields except connection fields', async () => {
    upstream.handler = (_request, response) => {
      response.writeHead(200, [
        'Set-Cookie',
        'a=1',
        'Set-Cookie',
        'b=2',
        'ETag',
        'x',
        'X-Two',
        '1',
        'X-Two',
        '2',
        'Keep-Alive',
        'timeout=5',
      ])
      response.end('whole')
    }
    const { headers, text } = await sendHttp2(session, { ':path': '/app' })
    assert.equal(text, 'whole')
    assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2'])
    assert.equal(headers['x-two'], '1, 2')
    assert.equal(headers.etag, 'x')
    for (const name of ['connection', 'keep-alive', 'transfer-encoding']) assert.equal(headers[name], undefined)
  })

  it('can be answered before their body has arrived, and the connection stays open', async () => {
    const stream = session.request({ ':method': 'POST', ':path': '/small' })
    stream.on('error', () => {})
    const answer = answerOn(stream)
    stream.write(Buffer.alloc(100_000))
    assert.equal((await answer).status, 413)
    assert.equal((await sendHttp2(session, { ':path': '/app' })).status, 200)
    assert.equal(session.closed, false)
  })

  it('are cancelled at the upstream when the client resets the stream', async () => {
    let isCancelled = false
    upstream.handler = (request, response) => {
      response.write('begun')
      response.on('close', () => (isCancelled = true))
      request.resume()
    }
    const stream = session.request({ ':path': '/app' })
    await once(stream, 'response')
    stream.close(8)
    await until(() => isCancelled, { what: 'the upstream sees the end' })
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'client_closed', reason: 'client_closed' }])
    assert.equal((await sendHttp2(session, { ':path': '/nowhere' })).status, 404)
  })

  it('never end an aborted upload as if it were complete', async () => {
    let ended: string | undefined
    upstream.handler = request => {
      request.on('end', () => (ended = 'whole')).on('error', () => (ended = 'broken'))
      request.resume()
    }
    // Does not use Node's client, which ends an upload that it aborts.
    const client = await openFrames(pipeline.port)
    const fields = requestFields('/app').with(0, [':method', 'POST'])
    client.send(frame(FRAME.headers, END_HEADERS, 1, headerBlock(fields)))
    client.send(frame(FRAME.data, 0, 1, Buffer.from('a part')))
    await until(() => upstream.requests.length === 1, { what: 'the upstream has the request' })
    client.send(resetFrame(1))
    assert.equal(await until(() => ended, { what: 'the upload ends' }), 'broken')
    assert.equal((await pipeline.ended(1))[0]?.outcome, 'client_closed')
    client.destroy()
  })

  it('are reset when the upstream breaks off, and other streams on the connection continue', async () => {
    upstream.handler = (_request, response) => {
      response.write('a part')
      setImmediate(() => response.destroy())
    }
    const stream = session.request({ ':path': '/app' })
    await assert.rejects(answerOn(stream))
    assert.equal(stream.rstCode, 2)
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'fault', reason: 'reset' }])
    assert.equal((await sendHttp2(session, { ':path': '/nowhere' })).status, 404)
  })
})
