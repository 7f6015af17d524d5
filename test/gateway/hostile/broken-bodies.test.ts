import assert from 'node:assert/strict'
import { openRaw } from '../../support/raw-http'
import { proxyTo, startPipeline } from '../../support/start-pipeline'
import { startUpstream } from '../../support/start-upstream'
import { get, post } from './hostile-cases'

describe('a request that breaks in its body', () => {
  it('is answered and counted as malformed when the answer has not begun', async () => {
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

  it('loses its connection when the answer has begun, so that nothing is written into it', async () => {
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

  it('loses its connection when the nonsense comes behind a request that is still being answered', async () => {
    const upstream = await startUpstream((request, response) => {
      request.resume()
      response.write('begun')
    })
    const pipeline = await startPipeline(proxyTo(upstream.url))
    const connection = await openRaw(pipeline.port)
    connection.send(get('/app'))
    await connection.waitFor('begun')
    connection.send('nonsense\r\n\r\n')
    const answer = await connection.closed()
    assert.ok(!answer.includes('problem'))
    await pipeline.ended(1)
    await pipeline.stop()
    await upstream.stop()
  })
})
