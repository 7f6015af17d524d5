import assert from 'node:assert/strict'
import { openRaw } from '../../support/raw-http'
import { startPipeline, type Pipeline } from '../../support/start-pipeline'
import { bodyOf, startUpstream, type RunningUpstream } from '../../support/start-upstream'
import { until } from '../../support/until'

const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const SMUGGLED = GET('/app/smuggled')

function statusesIn(received: string): number[] {
  return [...received.matchAll(/(?:^|[^ ])HTTP\/1\.1 (\d{3}) /g)].map(match => Number(match[1]))
}

describe('one connection', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    upstream = await startUpstream((request, response) => {
      void bodyOf(request).then(() => response.end(`answer to ${request.url ?? ''}.`))
    })
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] }, none: { targets: ['http://127.0.0.1:1'] } },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app' },
        { name: 'limited', match: { path: '/limited' }, upstream: 'app', rateLimit: { limit: 1, window: '1h' } },
        { name: 'none', match: { path: '/none' }, upstream: 'none' },
      ],
    })
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })
  const seen = (): string[] => upstream.requests.map(request => request.url)

  it('answers requests sent in one go in their order, whichever is done first', async () => {
    upstream.handler = (request, response) => {
      // The first is only answered when the last has been asked for.
      const { url = '' } = request
      const ready = url === '/app/1' ? until(() => seen().length === 3, { what: 'all are here' }) : Promise.resolve()
      void ready.then(() => response.end(`answer to ${url}.`))
    }
    const client = await openRaw(pipeline.port)
    client.send(GET('/app/1') + GET('/app/2') + GET('/nowhere') + GET('/app/3'))
    const received = await client.waitFor('answer to /app/3.')
    client.destroy()
    assert.deepEqual(statusesIn(received), [200, 200, 404, 200])
    assert.deepEqual(received.match(/answer to [^.]*/g), ['answer to /app/1', 'answer to /app/2', 'answer to /app/3'])
  })

  it('goes on after a body that was read', async () => {
    const client = await openRaw(pipeline.port)
    const post = `POST /app/1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`
    client.send(post + GET('/app/2'))
    await client.waitFor('answer to /app/2.')
    client.destroy()
    assert.deepEqual(seen(), ['/app/1', '/app/2'])
  })

  const FRAMINGS: Readonly<Record<string, (body: string) => string>> = {
    'known length': body => `Content-Length: ${body.length}\r\n\r\n${body}`,
    'unknown length': body => `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  }
  const REFUSED: Readonly<Record<number, string>> = { 400: '/app/%00', 404: '/nowhere', 405: '/', 502: '/none' }
  for (const [framing, write] of Object.entries(FRAMINGS)) {
    for (const [status, path] of Object.entries(REFUSED)) {
      it(`takes no body of ${framing} for a request after a ${status}`, async () => {
        const client = await openRaw(pipeline.port)
        const request = `POST ${path} HTTP/1.1\r\nHost: a\r\n${write(SMUGGLED)}`
        const split = request.indexOf('GET /app/smuggled')
        client.send(request.slice(0, split))
        await client.waitFor(/\r\n\r\n\{.*\}$/)
        client.send(request.slice(split))
        // Whether it goes on or not: what was the body stays it.
        client.send(GET('/app/next'))
        const received = await client.waitFor('answer to /app/next.').catch(() => client.received)
        client.destroy()
        assert.equal(statusesIn(received)[0], Number(status))
        assert.ok(!seen().includes('/app/smuggled'), seen().join(' '))
        assert.ok(!received.includes('/app/smuggled'))
      })
    }
  }

  it('takes no body for a request after a 429', async () => {
    const client = await openRaw(pipeline.port)
    client.send(GET('/limited'))
    await client.waitFor('answer to /limited.')
    client.send(`POST /limited HTTP/1.1\r\nHost: a\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n`)
    await client.waitFor('"limited"')
    client.send(SMUGGLED)
    client.send(GET('/app/next'))
    const received = await client.waitFor('answer to /app/next.').catch(() => client.received)
    client.destroy()
    assert.equal(statusesIn(received)[1], 429)
    assert.ok(!seen().includes('/app/smuggled'))
  })

  it('takes no body for a request when the upstream answers before it has read it', async () => {
    upstream.handler = (request, response) => {
      if (request.method === 'POST') response.writeHead(413).end('too much')
      else response.end(`answer to ${request.url ?? ''}.`)
    }
    const client = await openRaw(pipeline.port)
    client.send(`POST /app/1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${SMUGGLED.length + 1}\r\n\r\nx`)
    await client.waitFor('too much')
    client.send(SMUGGLED)
    client.send(GET('/app/next'))
    const received = await client.waitFor('answer to /app/next.').catch(() => client.received)
    client.destroy()
    assert.equal(statusesIn(received)[0], 413)
    assert.ok(!seen().includes('/app/smuggled'))
  })
})
