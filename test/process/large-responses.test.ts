import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { sampleValue } from '../support/exposition'
import { scrape } from '../support/ops-port'
import { exchange, PROTOCOLS } from '../support/protocol-clients'
import { open, responseTo, send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

const MIB = 1024 * 1024
const CONTENT = randomBytes(2.5 * MIB).toString('hex')
/** Around the size of a read, of a piece for slow clients, and of the buffer for them. */
const SIZES = [1, 16_384, 32_767, 32_768, 65_536, 65_537, 100_000, MIB, MIB + 1, CONTENT.length]

/** The gateway frees the memory of what it has read once a client has it: nobody may get bytes of another response. */
describe('large responses', function () {
  this.timeout(60_000)

  let upstream: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    upstream = await startUpstream((request, response) => {
      const [, , bytes, framing] = (request.url as string).split('/')
      const body = Buffer.from(CONTENT.slice(0, Number(bytes)))
      if (framing === 'length') response.setHeader('Content-Length', body.length)
      // Several writes make chunks that end in the middle of the gateway's reads.
      for (let at = 0; at < body.length; at += 300_000) response.write(body.subarray(at, at + 300_000))
      response.end()
    })
    const config = { ...proxyTo(upstream.url), entrypoint: { http2: { cleartext: true } } }
    gateway = await startGateway({ config: JSON.stringify(config) })
  })
  after(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  const paths = SIZES.flatMap(bytes =>
    ['length', 'chunked'].map(framing => ({ bytes, path: `/app/${bytes}/${framing}` })),
  )

  for (const protocol of ['HTTP/1.1', 'HTTP/2'] as const) {
    it(`arrive unchanged at prompt clients, over ${protocol}`, async () => {
      const client = await PROTOCOLS[protocol](gateway.port)
      try {
        for (let round = 0; round < 3; round++) {
          await Promise.all(
            paths.map(async ({ bytes, path }) => {
              const { text } = await exchange(client, { path })
              assert.ok(text === CONTENT.slice(0, bytes), path)
            }),
          )
        }
      } finally {
        client.close()
      }
    })
  }

  it('arrive unchanged at clients that read slowly', async () => {
    await Promise.all(
      paths.map(async ({ bytes, path }) => {
        const request = open(gateway.port, { path })
        request.end()
        const response = await responseTo(request)
        const read: Buffer[] = []
        for await (const chunk of response) {
          read.push(chunk as Buffer)
          if (read.length % 8 === 0) await wait(5) // the pace of the client, not a wait for something
        }
        assert.ok(Buffer.concat(read).toString() === CONTENT.slice(0, bytes), path)
      }),
    )
  })

  it('do not make V8 collect the whole heap again and again', async () => {
    await download(64)
    const before = await fullCollections()
    await download(384)
    // 384 MiB of reads would be six collections.
    const collections = (await fullCollections()) - before
    assert.ok(collections <= 2, `${collections} full collections`)
  })

  /** Reads so many responses of 1 MiB, eight at a time. */
  async function download(count: number): Promise<void> {
    const readSome = async (): Promise<void> => {
      for (let i = 0; i < count; i += 8) {
        const { body } = await send(gateway.port, `/app/${MIB}/length`)
        assert.equal(body.length, MIB)
      }
    }
    await Promise.all(Array.from({ length: 8 }, readSome))
  }

  async function fullCollections(): Promise<number> {
    return sampleValue(await scrape(gateway.opsUrl), 'v8js_gc_duration_seconds_count', { v8js_gc_type: 'major' }) ?? 0
  }
})
