import assert from 'node:assert/strict'
import { openRaw } from '../../support/raw-http'
import { proxyTo, startPipeline } from '../../support/start-pipeline'
import { startUpstream } from '../../support/start-upstream'
import { get, post } from './hostile-cases'

describe('a request with a malformed body', () => {
  it('gets 400 and is counted as malformed if the response has not begun', async () => {
    const upstream = await startUpstream(request => request.resume())
    const pipeline = await startPipeline(proxyTo(upstream.url))
    const connection = await openRaw(pipeline.port)
    connection.send(post('3\r\nabc\r\nnonsense\r\n', 'Transfer-Encoding: chunked'))
    const answer = await connection.closed()
    assert.match(answer, /^HTTP\/1\.1 400 /)
    assert.equal(answer.split('HTTP/1.1').length, 2, 'one answer')
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'refusal', reason: 'bad_request' }])
    await pipeline.stop()
    await upstream.stop()
  })

  it('loses its connection if the response has begun, so that no error is written into it', async () => {
    const upstream = await startUpstream((request, response) => {
      request.resume()
      response.write('begun')
    })
    const pipeline = await startPipeline(proxyTo(upstream.url))
    const connection = await openRaw(pipeline.port)
    connection.send(post('3\r\nabc\r\n', 'Transfer-Encoding: chunked'))
    await connection.waitFor('begun')
    connection.send('nonsense\r\n')
    const answer = await connection.closed()
    assert.equal(answer.split('HTTP/1.1').length, 2, 'one answer')
    assert.ok(!answer.includes('problem'))
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'refusal', reason: 'bad_request' }])
    await pipeline.stop()
    await upstream.stop()
  })

  it('is behind a request in flight, whose whole response comes before the refusal', async () => {
    let end: (() => void) | undefined
    const upstream = await startUpstream((request, response) => {
      request.resume()
      response.write('begun, ')
      end = () => response.end('done')
    })
    const pipeline = await startPipeline(proxyTo(upstream.url))
    const connection = await openRaw(pipeline.port)
    connection.send(get('/app'))
    await connection.waitFor('begun')
    connection.send('nonsense\r\n\r\n')
    connection.send('nonsense\r\n\r\n')
    end?.()
    const answer = await connection.closed()
    assert.match(answer, /begun, [^]*done\r\n0\r\n\r\nHTTP\/1\.1 400 [^]*"reason":"bad_request"/)
    assert.equal(answer.match(/HTTP\/1\.1 /g)?.length, 2)
    await pipeline.ended(2)
    await pipeline.stop()
    await upstream.stop()
  })
})
