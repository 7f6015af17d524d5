import assert from 'node:assert/strict'
import { get } from 'node:http'
import { openRaw } from '../support/raw-http'
import { problemOf, send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startRawUpstream, type RawUpstream } from '../support/start-raw-upstream'

const head = (...fields: string[]): string => `HTTP/1.1 200 OK\r\n${fields.map(field => `${field}\r\n`).join('')}\r\n`

/** Responses that must not reach a client in any form, because two parsers could read them differently. */
const INVALID: Readonly<Record<string, string>> = {
  'no HTTP at all': 'SSH-2.0-OpenSSH_9.9\r\n\r\n',
  'bare line feeds': 'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
  'a space in a field name': head('A b: c', 'Content-Length: 0'),
  'a control character in a field': head('A: b\x01c', 'Content-Length: 0'),
  'NUL in a field': head('A: b\0c', 'Content-Length: 0'),
  'a carriage return in a field': head('A: b\rc', 'Content-Length: 0'),
  'a folded field': head('A: b\r\n c', 'Content-Length: 0'),
  'Content-Length and chunked': `${head('Content-Length: 3', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
  'chunked and Content-Length': `${head('Transfer-Encoding: chunked', 'Content-Length: 9')}5\r\nhello\r\n0\r\n\r\n`,
  'two Content-Lengths': `${head('Content-Length: 5', 'Content-Length: 6')}hello!`,
  'a Content-Length list': `${head('Content-Length: 5, 5')}hello`,
  'a negative Content-Length': head('Content-Length: -1'),
  'a Content-Length beyond all bounds': head('Content-Length: 99999999999999999999999'),
  'a coding besides chunked': `${head('Transfer-Encoding: gzip, chunked')}5\r\nhello\r\n0\r\n\r\n`,
  'a coding instead of chunked': `${head('Transfer-Encoding: gzip')}hello`,
  'a status below 100': 'HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n',
  'a change of protocol nobody asked for': 'HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
  'a change of protocol without fields that name one': 'HTTP/1.1 101 Go\r\n\r\n',
  'a header section over the limit': head(`X: ${'x'.repeat(20_000)}`, 'Content-Length: 0'),
}

describe('an upstream header section', () => {
  for (const [maxHeaderSize, bytes, status] of [
    ['1KiB', 900, 200],
    ['1KiB', 1_100, 502],
    ['64KiB', 60_000, 200],
    ['64KiB', 66_000, 502],
  ] as const) {
    it(`of ${bytes} bytes is ${status} with maxHeaderSize: ${maxHeaderSize}`, async () => {
      const upstream = await startRawUpstream(socket => {
        socket.write(head(`X: ${'x'.repeat(bytes)}`, 'Content-Length: 0'))
      })
      const pipeline = await startPipeline(proxyTo(upstream.url, { upstream: { maxHeaderSize } }))
      // Node's client has its own limit.
      const answer = await new Promise<number | undefined>((resolve, reject) => {
        get({ port: pipeline.port, path: '/app', maxHeaderSize: 1_000_000 }, response => {
          response.resume()
          resolve(response.statusCode)
        }).on('error', reject)
      })
      assert.equal(answer, status)
      const [ended] = await pipeline.ended(1)
      assert.equal(ended?.reason, status === 200 ? undefined : 'bad_response')
      await pipeline.stop()
      await upstream.stop()
    })
  }
})

describe('an upstream that answers', () => {
  let bytes = ''
  let upstream: RawUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startRawUpstream(socket => socket.write(Buffer.from(bytes, 'latin1')))
    pipeline = await startPipeline(proxyTo(upstream.url))
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  /** The outcome of the newest request and its log line. */
  async function ending(): Promise<{ outcome: unknown; log: unknown }> {
    const seen = pipeline.counted.length
    const answer = await send(pipeline.port, '/app')
    assert.equal(answer.status, 502)
    assert.equal(problemOf(answer)['title'], 'The upstream sent an invalid response')
    return { outcome: (await pipeline.ended(seen + 1)).at(-1), log: pipeline.logs.at(-1) }
  }

  for (const [what, answer] of Object.entries(INVALID)) {
    it(`with ${what} causes a 502 that contains nothing of its response`, async () => {
      bytes = answer
      const { outcome, log } = await ending()
      assert.deepEqual(outcome, { route: '/app', outcome: 'fault', reason: 'bad_response' })
      assert.partialDeepStrictEqual(log, { level: 'error', status: 502, reason: 'bad_response', target: upstream.url })
    })
  }

  it('with less than it announced makes the gateway break the client’s connection', async () => {
    const short = await startRawUpstream(socket => socket.end(`${head('Content-Length: 9')}hello`))
    const broken = await startPipeline(proxyTo(short.url))
    const client = await openRaw(broken.port)
    client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    assert.match(await client.closed(), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nhello$/)
    assert.deepEqual(await broken.ended(1), [{ route: '/app', outcome: 'fault', reason: 'reset' }])
    assert.partialDeepStrictEqual(broken.logs.at(-1), { outcome: 'fault', reason: 'reset', target: short.url })
    await broken.stop()
    await short.stop()
  })

  it('with a broken chunk makes the gateway break the client’s connection', async () => {
    bytes = `${head('Transfer-Encoding: chunked')}5\r\nhello\r\nnonsense\r\n`
    const seen = pipeline.counted.length
    const client = await openRaw(pipeline.port)
    client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    const received = await client.closed()
    assert.ok(received.endsWith('5\r\nhello\r\n'), 'no last chunk')
    assert.deepEqual((await pipeline.ended(seen + 1)).at(-1)?.reason, 'bad_response')
  })

  it('with more than it announced has the extra bytes dropped', async () => {
    const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'
    const good = `${head('Content-Length: 4')}good`
    let calls = 0
    const chatty = await startRawUpstream(socket => socket.write(++calls === 1 ? good + evil : good))
    const proxy = await startPipeline(proxyTo(chatty.url))
    const answers = [await send(proxy.port, '/app'), await send(proxy.port, '/app'), await send(proxy.port, '/app')]
    assert.deepEqual(
      answers.map(answer => answer.text),
      ['good', 'good', 'good'],
    )
    await proxy.stop()
    await chatty.stop()
  })
})
