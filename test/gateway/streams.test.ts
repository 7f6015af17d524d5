import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable, type Writable } from 'node:stream'
import { pipeline as pipe } from 'node:stream/promises'
import type { ServerResponse } from 'node:http'
import { answerOf, open, responseTo, send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const MIB = 1024 * 1024
const CHUNK = Buffer.alloc(64 * 1024, 'x')
/**
 * The bytes that can be buffered between a writer and a reader that has stopped: the socket buffers of two connections
 * (up to 6 MiB each on Linux) and a few chunks in the gateway. Far below the 64 MiB that are sent.
 */
const BUFFERED_AT_MOST = 24 * MIB

/** No bytes were accepted for this long: the writer was stopped. */
const STANDSTILL_MS = 500

function* chunks(bytes: number): Generator<Buffer> {
  for (let sent = 0; sent < bytes; sent += CHUNK.length) yield CHUNK
}

/** Writes until the other side stops reading for a while; returns the accepted bytes, at most 64 MiB. */
async function writeUntilStopped(stream: Writable): Promise<number> {
  let taken = 0
  while (taken < 64 * MIB) {
    taken += CHUNK.length
    if (stream.write(CHUNK)) continue
    let moved = false
    stream.once('drain', () => (moved = true))
    const stopped = await until(() => moved, { what: 'room for more', timeoutMs: STANDSTILL_MS, intervalMs: 1 }).then(
      () => false,
      () => true,
    )
    if (stopped) break
  }
  return taken
}

async function countBytes(stream: Readable): Promise<number> {
  let bytes = 0
  for await (const chunk of stream) bytes += (chunk as Buffer).length
  return bytes
}

describe('a body', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    upstream = await startUpstream()
    pipeline = await startPipeline(proxyTo(upstream.url))
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  it('of 64 MiB is uploaded completely', async () => {
    upstream.handler = (request, response) => void countBytes(request).then(bytes => response.end(String(bytes)))
    const upload = open(pipeline.port, { path: '/app', method: 'POST' })
    const answer = responseTo(upload).then(answerOf)
    await pipe(Readable.from(chunks(64 * MIB)), upload)
    assert.equal((await answer).text, String(64 * MIB))
  })

  it('of 64 MiB is downloaded completely, with and without a known length', async () => {
    for (const headers of [{ 'Content-Length': String(64 * MIB) }, {}]) {
      upstream.handler = (_request, response) => {
        response.writeHead(200, headers)
        void pipe(Readable.from(chunks(64 * MIB)), response)
      }
      const download = open(pipeline.port, { path: '/app' })
      download.end()
      assert.equal(await countBytes(await responseTo(download)), 64 * MIB)
    }
  })

  it('stays in the upstream while the client does not read', async () => {
    let sent: Promise<number> | undefined
    upstream.handler = (_request, response) => {
      response.writeHead(200)
      sent = writeUntilStopped(response)
    }
    const download = open(pipeline.port, { path: '/app' })
    download.end()
    const response = await responseTo(download)
    response.pause()
    const taken = (await sent)!
    assert.ok(taken < BUFFERED_AT_MOST, `${taken} bytes were taken from the upstream`)
    download.destroy()
  })

  it('stays in the client while the upstream does not read', async () => {
    upstream.handler = request => request.pause()
    const upload = open(pipeline.port, { path: '/app', method: 'POST' })
    upload.on('error', () => undefined) // the test closes it below
    const taken = await writeUntilStopped(upload)
    assert.ok(taken < BUFFERED_AT_MOST, `${taken} bytes were taken from the client`)
    upload.destroy()
  })

  it('continues when a client that had stopped reading reads again', async () => {
    upstream.handler = (_request, response) => void pipe(Readable.from(chunks(32 * MIB)), response)
    const download = open(pipeline.port, { path: '/app' })
    download.end()
    const response = await responseTo(download)
    response.pause()
    await once(response, 'readable')
    assert.equal(await countBytes(response), 32 * MIB)
  })

  it('reaches the client with its first byte before the upstream has finished', async () => {
    let answer: ServerResponse | undefined
    upstream.handler = (_request, response) => {
      answer = response
      response.write('first')
    }
    const download = open(pipeline.port, { path: '/app' })
    download.end()
    const response = await responseTo(download)
    const [chunk] = (await once(response, 'data')) as [Buffer]
    assert.equal(chunk.toString(), 'first')
    answer?.end('last')
    const [last] = (await once(response, 'data')) as [Buffer]
    assert.equal(last.toString(), 'last')
  })

  it('reaches the upstream with its first byte before the client has finished, and a response comes back', async () => {
    upstream.handler = (request, response) => {
      request.once('data', (chunk: Buffer) => response.write(`got ${chunk.toString()}`))
      request.on('end', () => response.end(', whole'))
    }
    const upload = open(pipeline.port, { path: '/app', method: 'POST' })
    upload.write('first')
    const response = await responseTo(upload)
    const [chunk] = (await once(response, 'data')) as [Buffer]
    assert.equal(chunk.toString(), 'got first')
    upload.end('last')
    assert.equal((await answerOf(response)).text, ', whole')
  })

  it('of an event stream has its header section sent before the first event, and each event at once', async () => {
    let events: ServerResponse | undefined
    upstream.handler = (_request, response) => {
      events = response
      response.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
    }
    const stream = open(pipeline.port, { path: '/app' })
    stream.end()
    const response = await responseTo(stream)
    assert.equal(response.headers['content-type'], 'text/event-stream')
    for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
      events?.write(event)
      const [chunk] = (await once(response, 'data')) as [Buffer]
      assert.equal(chunk.toString(), event)
    }
    events?.end()
    assert.equal((await answerOf(response)).text, '')
    assert.deepEqual((await pipeline.ended(1)).at(-1)?.outcome, 'ok')
  })

  it('does not delay requests on other connections', async () => {
    upstream.handler = (request, response) => {
      if (request.url === '/app/quick') response.end('quick')
      else response.write('slow')
    }
    const slow = open(pipeline.port, { path: '/app/slow' })
    slow.end()
    await responseTo(slow)
    assert.equal((await send(pipeline.port, '/app/quick')).text, 'quick')
    slow.destroy()
  })
})
