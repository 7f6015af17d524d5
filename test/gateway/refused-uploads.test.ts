import assert from 'node:assert/strict'
import { open, responseTo } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startRawUpstream, type RawUpstream } from '../support/start-raw-upstream'

const REFUSAL = 'HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 9\r\n\r\ntoo large'
const BODY = Buffer.alloc(5 * 1024 * 1024, 'x')

/** The status that a client gets which keeps sending until it receives a response. */
async function upload(port: number, headers: Record<string, string> = {}): Promise<number | undefined> {
  const sent = open(port, { path: '/app', method: 'POST', headers })
  const response = responseTo(sent)
  sent.on('error', () => undefined) // of its own writes, after the answer
  sent.end(BODY)
  const answer = await response.catch(() => undefined)
  answer?.on('error', () => undefined).resume()
  return answer?.statusCode
}

describe('an upload that the upstream refuses with a response and a close, without reading it', () => {
  let upstream: RawUpstream
  let pipeline: Pipeline

  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  for (const framing of ['Content-Length', 'chunks']) {
    it(`delivers that response to the client (${framing})`, async () => {
      upstream = await startRawUpstream(socket => {
        socket.pause()
        // The connection closes with unread bytes, so the gateway's next write fails.
        socket.write(REFUSAL, () => socket.destroy())
      })
      pipeline = await startPipeline(proxyTo(upstream.url))
      const headers =
        framing === 'chunks' ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(BODY.length) }
      const seen: (number | undefined)[] = []
      for (let i = 0; i < 20; i++) seen.push(await upload(pipeline.port, headers))
      assert.deepEqual(
        seen.filter(status => status !== 413),
        [],
      )
    })
  }

  it('fails if the connection broke before any response', async () => {
    upstream = await startRawUpstream(socket => {
      socket.pause()
      socket.resetAndDestroy()
    })
    pipeline = await startPipeline(proxyTo(upstream.url))
    assert.equal(await upload(pipeline.port), 502)
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'fault', reason: 'reset' }])
  })

  it('fails if the response broke off', async () => {
    upstream = await startRawUpstream(socket => {
      socket.pause()
      socket.write(REFUSAL.slice(0, -3), () => socket.destroy())
    })
    pipeline = await startPipeline(proxyTo(upstream.url))
    await upload(pipeline.port)
    const [ended] = await pipeline.ended(1)
    assert.equal(ended?.outcome, 'fault')
  })
})
