import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { Readable, Writable } from 'node:stream'
import { pipeline as pipe } from 'node:stream/promises'
import { sampleValue } from '../support/exposition'
import { scrape } from '../support/ops-port'
import { answerOf, open, responseTo } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

const MIB = 1024 * 1024
const CHUNK = Buffer.alloc(256 * 1024, 'x')
/** Bytes in each direction; `LARGE_BODY_GIB=10` makes a longer run. */
const GIB = Number(process.env['LARGE_BODY_GIB'] ?? 2)
const BYTES = GIB * 1024 * MIB
/** Sent first: code is compiled, and the heap reaches its size. */
const WARM_UP = 256 * MIB
/** Bytes that garbage collection may leave for later. A buffered body would need thousands of MiB. */
const GROWTH_AT_MOST = 100 * MIB

function* chunks(bytes: number): Generator<Buffer> {
  for (let sent = 0; sent < bytes; sent += CHUNK.length) yield CHUNK
}

/** Reads all bytes and keeps none. */
async function count(stream: Readable): Promise<number> {
  let bytes = 0
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      bytes += chunk.length
      done()
    },
  })
  await pipe(stream, sink)
  return bytes
}

describe('chunked bodies of gigabytes, in both directions at once', function () {
  // On an idle machine, a tenth of this.
  this.timeout(120_000 * (1 + GIB))

  let upstream: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    const handler: RequestListener = (request, response) => {
      if (request.method === 'POST') void count(request).then(bytes => response.end(String(bytes)))
      else void pipe(Readable.from(chunks(Number(request.url?.split('/').at(-1)))), response)
    }
    upstream = await startUpstream(handler, { requestTimeout: 0 }) // Node's default is five minutes
    gateway = await startGateway({ config: JSON.stringify(proxyTo(upstream.url)) })
  })
  after(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  async function upload(bytes: number): Promise<number> {
    const request = open(gateway.port, { path: '/app', method: 'POST' })
    const answer = responseTo(request).then(answerOf)
    await pipe(Readable.from(chunks(bytes)), request)
    return Number((await answer).text)
  }

  async function download(bytes: number): Promise<number> {
    const request = open(gateway.port, { path: `/app/${bytes}` })
    request.end()
    return count(await responseTo(request))
  }

  async function both(bytes: number): Promise<void> {
    assert.deepEqual(await Promise.all([upload(bytes), download(bytes)]), [bytes, bytes])
  }

  async function memory(): Promise<number> {
    return sampleValue(await scrape(gateway.opsUrl), 'process_memory_usage_bytes') ?? NaN
  }

  it('do not increase the memory of the gateway', async () => {
    await both(WARM_UP)
    const before = await memory()
    let most = before
    const watch = setInterval(() => void memory().then(bytes => (most = Math.max(most, bytes))), 200)
    await both(BYTES).finally(() => clearInterval(watch))
    most = Math.max(most, await memory())
    const growth = most - before
    if (GIB !== 2) console.log(`      ${GIB} GiB up and down: from ${before / MIB} to at most ${most / MIB} MiB`)
    assert.ok(growth < GROWTH_AT_MOST, `grew from ${before / MIB} to ${most / MIB} MiB`)
  })
})
