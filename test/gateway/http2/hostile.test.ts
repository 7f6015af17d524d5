import assert from 'node:assert/strict'
import type { ClientHttp2Session } from 'node:http2'
import type { Reason } from '../../../src/errors/reasons'
import { openHttp2, sendHttp2 } from '../../support/http2-client'
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  framesOf,
  goawayCode,
  headerBlock,
  openFrames,
  requestFields,
  requestFrame,
  resetFrame,
  word,
  type Fields,
  type Frame,
} from '../../support/http2-frames'
import type { RawConnection } from '../../support/raw-http'
import { startPipeline, type Pipeline } from '../../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../../support/start-upstream'
import { until } from '../../support/until'

const ENHANCE_YOUR_CALM = 11
const PROTOCOL_ERROR = 1
const REFUSED_STREAM = 7
const ACK = 1

describe('an HTTP/2 listener under attack', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline
  let healthy: ClientHttp2Session
  const open: RawConnection[] = []

  before(async () => {
    upstream = await startUpstream()
  })
  beforeEach(async () => {
    upstream.handler = (_request, response) => response.end('ok')
    upstream.requests.length = 0
    pipeline = await startPipeline({
      entrypoint: {
        stallTimeout: '300ms',
        minDownloadRate: '100KiB',
        keepAliveTimeout: '1m',
        http2: { cleartext: true, maxStreams: 10, maxResets: 20, maxControlFrames: 100 },
      },
      upstreams: { app: { targets: [upstream.url] } },
      routes: [{ name: 'app', match: { path: '/app' }, upstream: 'app' }],
    })
    healthy = await openHttp2(pipeline.url)
    assert.equal((await sendHttp2(healthy, { ':path': '/app' })).status, 200)
    upstream.requests.length = 0
  })
  afterEach(async () => {
    // The gateway must still serve this client, whatever another one has sent.
    upstream.handler = (_request, response) => response.end('ok')
    assert.equal((await sendHttp2(healthy, { ':path': '/app' })).status, 200, 'the healthy client')
    healthy.destroy()
    for (const connection of open.splice(0)) connection.destroy()
    await pipeline.stop()
  })
  after(async () => {
    await upstream.stop()
  })

  async function connection(settings?: Buffer): Promise<RawConnection> {
    const opened = await openFrames(pipeline.port, settings)
    open.push(opened)
    return opened
  }

  async function isRefused(client: RawConnection, code = ENHANCE_YOUR_CALM): Promise<void> {
    await client.closed()
    assert.equal(goawayCode(client), code)
  }

  const answersTo = (client: RawConnection, stream: number): number =>
    framesOf(client).filter(({ type, stream: id }) => type === FRAME.headers && id === stream).length

  describe('with an ambiguous request', () => {
    const cases: [what: string, fields: Fields, reason: Reason][] = [
      ['an authority and another host', requestFields('/app', ['host', 'other.example']), 'bad_request'],
      ['a dot segment', requestFields('/app/../x'), 'bad_request'],
      ['a fragment', requestFields('/app?a#b'), 'bad_request'],
      ['a long URL', requestFields(`/app?${'a'.repeat(9_000)}`), 'uri_too_long'],
      ['a large header section', requestFields('/app', ['x-large', 'a'.repeat(17_000)]), 'header_too_large'],
      [
        'many fields',
        requestFields('/app', ...Array.from({ length: 110 }, (_, i) => [`x-${i}`, 'a'] as const)),
        'header_too_large',
      ],
      ['an unknown method', requestFields('/app').with(0, [':method', 'NONSENSE']), 'not_implemented'],
      ['an unknown expectation', requestFields('/app', ['expect', 'something']), 'expectation_failed'],
    ]
    for (const [what, fields, reason] of cases) {
      it(`${what}: ${reason}`, async () => {
        const client = await connection()
        const counted = pipeline.counted.length
        client.send(requestFrame(1, fields))
        await client.waitFor(`"reason":"${reason}"`)
        await pipeline.ended(counted + 1).catch(() => {
          assert.equal(reason, 'header_too_large', 'only this is refused before it is a request')
        })
        assert.equal(upstream.requests.length, 0)
        // The connection is still usable.
        client.send(requestFrame(3, requestFields('/app')))
        await until(() => answersTo(client, 3) === 1, { what: 'the next request is answered' })
      })
    }
  })

  describe('with a malformed request', () => {
    const cases: [what: string, fields: Fields][] = [
      ['a field of the connection', requestFields('/app', ['connection', 'x-secret'])],
      ['a transfer coding', requestFields('/app', ['transfer-encoding', 'chunked'])],
      ['an upgrade', requestFields('/app', ['upgrade', 'websocket'])],
      ['a name in upper case', requestFields('/app', ['X-Upper', 'a'])],
      ['no authority and no host', requestFields('/app').toSpliced(2, 1)],
      ['an authority that is none', requestFields('/app').with(2, [':authority', 'a b'])],
      ['a pseudo field behind others', [...requestFields('/app', ['x-a', 'a']), [':path', '/other']]],
      ['two paths', requestFields('/app', [':path', '/other'])],
      ['a length that is not that of the body', requestFields('/app', ['content-length', '5'])],
      ['a protocol to change to', requestFields('/app').with(0, [':method', 'CONNECT'])],
    ]
    for (const [what, fields] of cases) {
      it(`${what}: the stream is reset and the upstream gets no request`, async () => {
        const client = await connection()
        client.send(requestFrame(1, fields))
        await until(() => framesOf(client).some(({ type }) => type === FRAME.reset || type === FRAME.goaway), {
          what: 'a reset',
        })
        assert.equal(upstream.requests.length, 0)
      })
    }
  })

  it('never forwards a line break in a field value', async () => {
    const client = await connection()
    client.send(requestFrame(1, requestFields('/app', ['x-a', 'a\r\nx-b: b'])))
    client.send(requestFrame(3, requestFields('/app')))
    await until(() => answersTo(client, 3) === 1, { what: 'the next request is answered' })
    for (const { headers } of upstream.requests)
      assert.deepEqual([headers['x-a'], headers['x-b']], [undefined, undefined])
  })

  describe('with a flood of frames', () => {
    it('closes a connection that opens and resets streams', async () => {
      upstream.handler = () => {}
      const client = await connection()
      for (let id = 1; id < 100; id += 2)
        client.send(Buffer.concat([requestFrame(id, requestFields('/app')), resetFrame(id)]))
      await isRefused(client)
      await until(() => pipeline.counted.filter(({ outcome }) => outcome === 'client_closed').length >= 20, {
        what: 'each was counted',
      })
    })

    it('closes a connection that makes the gateway reset many streams for errors', async () => {
      upstream.handler = () => {}
      const client = await connection()
      for (let id = 1; id < 100; id += 2) {
        // An increment of 0 is a stream error (RFC 9113 §6.9).
        client.send(Buffer.concat([requestFrame(id, requestFields('/app')), frame(FRAME.window, 0, id, word(0))]))
      }
      await client.closed()
      assert.ok([PROTOCOL_ERROR, ENHANCE_YOUR_CALM].includes(goawayCode(client) as number))
    })

    it('closes a connection that sends PING after PING', async () => {
      const client = await connection()
      for (let i = 0; i < 110; i++) client.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)))
      await isRefused(client)
    })

    it('closes a connection that changes its settings again and again', async () => {
      const client = await connection()
      for (let i = 0; i < 110; i++) client.send(frame(FRAME.settings, 0, 0))
      await isRefused(client)
    })

    it('closes a connection whose header section never ends', async () => {
      const client = await connection()
      client.send(frame(FRAME.headers, END_STREAM, 1, headerBlock(requestFields('/app'))))
      const more = headerBlock([['x-a', 'a'.repeat(100)]])
      for (let i = 0; i < 200; i++) client.send(frame(FRAME.continuation, 0, 1, more))
      await client.closed()
      assert.equal(upstream.requests.length, 0)
    })

    it('closes a connection that sends empty DATA frames', async () => {
      upstream.handler = request => void request.resume()
      const client = await connection()
      const fields = requestFields('/app').with(0, [':method', 'POST'])
      client.send(frame(FRAME.headers, END_HEADERS, 1, headerBlock(fields)))
      for (let i = 0; i < 2_000; i++) client.send(frame(FRAME.data, 0, 1))
      await client.closed()
    })

    it('refuses streams above the limit, and serves those within', async () => {
      upstream.handler = () => {}
      const client = await connection()
      for (let id = 1; id < 31; id += 2) client.send(requestFrame(id, requestFields('/app')))
      const resets = (): Frame[] => framesOf(client).filter(({ type }) => type === FRAME.reset)
      await until(() => resets().length === 5, { what: 'five are refused' })
      assert.deepEqual(new Set(resets().map(({ payload }) => payload.readUInt32BE(0))), new Set([REFUSED_STREAM]))
      await until(() => upstream.requests.length === 10, { what: 'ten are forwarded' })
    })

    it('closes a connection that keeps opening streams above the announced limit', async () => {
      const client = await connection()
      await until(() => framesOf(client).length > 0, { what: 'the settings' })
      client.send(frame(FRAME.settings, ACK, 0))
      const requests = Array.from({ length: 15 }, (_, i) => requestFrame(2 * i + 1, requestFields('/app')))
      client.send(Buffer.concat(requests))
      await isRefused(client, PROTOCOL_ERROR)
    })
  })

  it('closes a client that opens no window for its response', async () => {
    upstream.handler = (_request, response) => response.end(Buffer.alloc(3_000_000))
    // SETTINGS_INITIAL_WINDOW_SIZE 0
    const client = await connection(Buffer.concat([Buffer.of(0, 4), word(0)]))
    const counted = pipeline.counted.length
    client.send(requestFrame(1, requestFields('/app')))
    assert.deepEqual((await pipeline.ended(counted + 1)).at(-1), {
      route: '/app',
      outcome: 'client_closed',
      reason: 'client_stalled',
    })
    await until(() => framesOf(client).some(({ type }) => type === FRAME.reset), { what: 'the stream is reset' })
  })

  it('ends a stalled upload', async () => {
    upstream.handler = request => void request.resume()
    const client = await connection()
    const counted = pipeline.counted.length
    const fields = requestFields('/app').with(0, [':method', 'POST'])
    client.send(frame(FRAME.headers, END_HEADERS, 1, headerBlock(fields)))
    client.send(frame(FRAME.data, 0, 1, Buffer.from('a part')))
    await client.waitFor('"reason":"request_timeout"')
    assert.equal((await pipeline.ended(counted + 1)).at(-1)?.reason, 'request_timeout')
  })
})
