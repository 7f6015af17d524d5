import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ClientHttp2Session } from 'node:http2'
import { openHttp2, sendHttp2 } from '../../support/http2-client'
import {
  END_STREAM,
  FRAME,
  framesOf,
  goawayCode,
  openFrames,
  requestFields,
  requestFrame,
} from '../../support/http2-frames'
import { proxyTo, startPipeline, type Pipeline } from '../../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../../support/start-upstream'
import { until } from '../../support/until'

describe('HTTP/2 of a gateway that stops or reloads', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline
  const file = (): Parameters<typeof startPipeline>[0] =>
    proxyTo(upstream.url, { entrypoint: { http2: { cleartext: true } } })

  beforeEach(async () => {
    upstream = await startUpstream()
    pipeline = await startPipeline(file())
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  it('asks its clients to open no further stream, and finishes the streams in flight', async () => {
    const waiting: (() => void)[] = []
    upstream.handler = (_request, response) => waiting.push(() => response.end('late'))
    const session = await openHttp2(pipeline.url)
    const answers = [1, 2, 3].map(async () => sendHttp2(session, { ':path': '/app' }))
    await until(() => waiting.length === 3, { what: 'three are in flight' })
    const goaway = once(session, 'goaway')
    const closed = once(pipeline.server, 'close')
    pipeline.server.close()
    await goaway
    for (const answer of waiting) answer()
    assert.deepEqual(
      (await Promise.all(answers)).map(({ text }) => text),
      ['late', 'late', 'late'],
    )
    await closed
  })

  it('announces it with the first request while it still accepts some', async () => {
    const session = await openHttp2(pipeline.url)
    pipeline.drain()
    const goaway = once(session, 'goaway')
    assert.equal((await sendHttp2(session, { ':path': '/app' })).status, 200)
    await goaway
    await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
  })

  it('closes idle connections when it stops', async () => {
    const session = await openHttp2(pipeline.url)
    const [ended, closed] = [once(session, 'close'), once(pipeline.server, 'close')]
    pipeline.server.close()
    await Promise.all([ended, closed])
  })

  it('loses no stream under load', async () => {
    // Uses raw frames, because Node's client itself rejects requests it has not sent when it receives GOAWAY.
    const client = await openFrames(pipeline.port)
    let sent = 0
    const isTold = (): boolean => goawayCode(client) !== undefined
    const ended = (): number =>
      framesOf(client).filter(
        ({ type, flags, stream }) => type === FRAME.data && stream > 0 && (flags & END_STREAM) !== 0,
      ).length
    const open = (): void => {
      while (!isTold() && sent - ended() < 20) client.send(requestFrame(2 * sent++ + 1, requestFields('/app')))
    }
    client.socket.on('data', open)
    open()
    await until(() => ended() > 100, { what: 'load' })
    pipeline.reload(file())
    const before = ended()
    await until(() => ended() > before + 100, { what: 'load after the reload' })
    const closed = once(pipeline.server, 'close')
    pipeline.server.close()
    await closed
    const goaways = framesOf(client).filter(({ type }) => type === FRAME.goaway)
    const lastTaken = (goaways.at(-1)?.payload.readUInt32BE(0) as number) & 0x7fff_ffff
    // Every accepted stream is answered; the client knows that the others were not processed, and none was.
    assert.equal(ended(), (lastTaken + 1) / 2)
    assert.equal(upstream.requests.length, ended())
    assert.equal(
      framesOf(client).some(({ type }) => type === FRAME.reset),
      false,
    )
    assert.ok((await pipeline.ended(ended())).every(({ outcome }) => outcome === 'ok'))
    client.destroy()
  })

  it('closes connections that are idle for too long', async () => {
    await pipeline.stop()
    pipeline = await startPipeline(
      proxyTo(upstream.url, { entrypoint: { keepAliveTimeout: '100ms', http2: { cleartext: true } } }),
    )
    const session: ClientHttp2Session = await openHttp2(pipeline.url)
    const ended = once(session, 'close')
    assert.equal((await sendHttp2(session, { ':path': '/app' })).status, 200)
    await ended
  })
})
