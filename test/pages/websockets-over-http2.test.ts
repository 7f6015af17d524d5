import assert from 'node:assert/strict'
import type { Browser } from 'playwright-core'
import { createAuthority } from '../support/certificates'
import { needsBrowser, startBrowser } from '../support/browser'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startWebSocketUpstream, type WebSocketUpstream } from '../support/web-sockets'

describe('WebSockets of a browser over HTTP/2', () => {
  let browser: Browser
  let upstream: WebSocketUpstream
  let pipeline: Pipeline

  before(needsBrowser)
  before(async () => {
    browser = await startBrowser()
    upstream = await startWebSocketUpstream()
    const { certFile: cert, keyFile: key } = createAuthority('Test Authority').issue('localhost')
    pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint: { tls: { cert, key } } }))
  })
  after(async () => {
    await browser?.close()
    await pipeline?.stop()
    await upstream?.stop()
  })

  it('share one connection with its requests: a hundred of them', async () => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    const page = await context.newPage()
    const origin = `https://127.0.0.1:${pipeline.port}`
    assert.equal((await page.goto(`${origin}/app`))?.status(), 200)
    const before = upstream.requests.length
    // Runs in the browser, whose types this program does not have.
    const run = `(async () => {
      const open = i => new Promise((resolve, reject) => {
        const socket = new WebSocket('wss://' + location.host + '/app/' + i, 'chat')
        socket.onopen = () => resolve(socket)
        socket.onerror = () => reject(new Error('socket ' + i))
      })
      const sockets = await Promise.all(Array.from({ length: 100 }, (_, i) => open(i)))
      const echoes = sockets.map((socket, i) => new Promise(resolve => {
        socket.onmessage = ({ data }) => resolve(data)
        socket.send('message ' + i)
      }))
      const answers = await Promise.all(Array.from({ length: 10 }, async (_, i) => (await fetch('/app?' + i, { cache: 'no-store' })).status))
      const echoed = await Promise.all(echoes)
      const protocols = performance.getEntriesByType('resource').map(entry => entry.nextHopProtocol)
      const codes = await Promise.all(sockets.map(socket => new Promise(resolve => {
        socket.onclose = ({ code }) => resolve(code)
        socket.close(1000)
      })))
      return { echoed, answers, codes, protocols, subprotocol: sockets[0].protocol }
    })()`
    const seen = (await page.evaluate(run)) as Record<'echoed' | 'answers' | 'codes' | 'protocols', unknown[]> & {
      subprotocol: string
    }
    assert.deepEqual(
      seen.echoed,
      Array.from({ length: 100 }, (_, i) => `message ${i}`),
    )
    assert.deepEqual(seen.answers, Array(10).fill(200))
    assert.deepEqual(seen.codes, Array(100).fill(1000))
    assert.equal(seen.subprotocol, 'chat')
    assert.ok(seen.protocols.length > 0 && seen.protocols.every(protocol => protocol === 'h2'), seen.protocols.join())
    assert.equal(upstream.requests.length - before, 10)
    assert.equal(upstream.handshakes.length, 100)
    assert.ok(upstream.handshakes.every(({ headers }) => headers.via === '2 myesi-gateway'))
    await pipeline.ended(111)
    const tunnels = pipeline.logs.filter(line => line['stream'] === 'websocket')
    assert.equal(tunnels.length, 100)
    assert.ok(tunnels.every(line => line['outcome'] === 'ok'))
    assert.equal(await pipeline.connections(), 1)
    await context.close()
  })
})
