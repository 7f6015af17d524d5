import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import type { ClientHttp2Session } from 'node:http2'
import { createAuthority } from '../support/certificates'
import { freePort } from '../support/free-port'
import { openHttp2 } from '../support/http2-client'
import { findHttp2Programs, runProgram } from '../support/http2-programs'
import { connectWebSocket } from '../support/http2-websockets'
import { needsFound } from '../support/needs'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { until } from '../support/until'
import { startWebSocketUpstream, type WebSocketUpstream } from '../support/web-sockets'

describe('the built gateway with HTTP/2', function () {
  this.timeout(90_000)
  const certificate = createAuthority('Test Authority').issue('localhost')
  let upstream: WebSocketUpstream
  let gateway: RunningGateway
  let redirectPort: number

  before(needsFound(findHttp2Programs))
  beforeEach(async () => {
    upstream = await startWebSocketUpstream()
  })
  afterEach(async () => {
    await gateway?.kill()
    await upstream.stop()
  })

  async function start(isSecure: boolean, env: NodeJS.ProcessEnv = {}): Promise<void> {
    redirectPort = await freePort()
    const tls = { cert: certificate.certFile, key: certificate.keyFile, redirectHttp: { port: redirectPort } }
    const entrypoint = isSecure ? { tls } : { http2: { cleartext: true } }
    gateway = await startGateway({ config: JSON.stringify(proxyTo(upstream.url, { entrypoint })), env })
  }

  async function curl(...args: string[]): Promise<string> {
    return runProgram('curl', ['-sk', '-o', '/dev/null', '-w', '%{http_version} %{http_code}', ...args])
  }

  for (const isSecure of [true, false]) {
    const port = isSecure ? 'with TLS' : 'without TLS'
    it(`serves h2load while its configuration is reloaded, without a failed stream, ${port}`, async () => {
      await start(isSecure)
      const { configFile, url } = gateway
      const text = readFileSync(configFile, 'utf8')
      let isOver = false
      const load = runProgram('h2load', ['-n6000', '-c4', '-m32', '-t1', `${url}/app`]).finally(() => (isOver = true))
      let reloads = 0
      await until(
        async () => {
          writeFileSync(configFile, `${text}${' '.repeat(++reloads)}`)
          gateway.process.signal('SIGHUP')
          const done = (): number => gateway.logs.filter(({ msg }) => msg === 'new configuration is active').length
          await until(() => done() >= 1 || isOver, { what: 'a reload' })
          return isOver
        },
        { what: 'h2load has ended', timeoutMs: 60_000 },
      )
      const report = await load
      assert.match(report, /6000 total, 6000 started, 6000 done, 6000 succeeded, 0 failed, 0 errored, 0 timeout/)
      assert.match(report, /status codes: 6000 2xx, 0 3xx, 0 4xx, 0 5xx/)
      assert.ok(gateway.logs.some(({ msg }) => msg === 'new configuration is active'))
    })
  }

  it('speaks with curl in each way that curl has', async () => {
    await start(true)
    const { url } = gateway
    assert.equal(await curl('--http2', `${url}/app`), '2 200')
    assert.equal(await curl('--http1.1', `${url}/app`), '1.1 200')
    assert.equal(await curl('--http2', '--tls-max', '1.2', `${url}/app`), '2 200')
    assert.equal(await curl('--http2', '--data', 'hello', `${url}/app`), '2 200')
    assert.equal(await curl(`http://127.0.0.1:${redirectPort}/app`), '1.1 301')
    const { status, headers } = await send(redirectPort, { path: '/app', headers: { host: 'shop.example' } })
    assert.deepEqual([status, headers['location']], [301, 'https://shop.example/app'])
    await gateway.stop()
    await assert.rejects(send(redirectPort, '/'), { code: 'ECONNREFUSED' })

    await start(false)
    assert.equal(await curl('--http2-prior-knowledge', `${gateway.url}/app`), '2 200')
    assert.equal(await curl('--http1.1', `${gateway.url}/app`), '1.1 200')
    // An upgrade to h2c is not taken; the request is served.
    assert.equal(await curl('--http2', `${gateway.url}/app`), '1.1 200')
  })

  it('drains under load: each stream that it took is answered, and each other one was never begun', async () => {
    await start(false, { SHUTDOWN_DELAY_MS: '300' })
    const sessions = await Promise.all(Array.from({ length: 4 }, () => openHttp2(gateway.url)))
    let [answered, notBegun] = [0, 0]
    const failed: string[] = []
    const client = async (session: ClientHttp2Session): Promise<void> => {
      let lastTaken = Infinity
      session.on('goaway', (_code: number, lastStreamId: number) => (lastTaken = lastStreamId))
      const one = async (): Promise<void> => {
        while (!session.closed && !session.destroyed) {
          const stream = session.request({ ':path': '/app' })
          const isClosed = new Promise(resolve => stream.once('close', resolve))
          let status = 0
          stream.on('error', () => {}).on('response', fields => (status = Number(fields[':status'])))
          let hasEnded = false
          stream.on('end', () => (hasEnded = true)).resume()
          await isClosed
          if (status === 200 && hasEnded && stream.rstCode === 0) answered++
          else if (status === 0 && (stream.id === undefined || stream.id > lastTaken)) notBegun++
          else failed.push(`stream ${stream.id}: ${status}, code ${stream.rstCode}, last taken ${lastTaken}`)
        }
      }
      await Promise.all(Array.from({ length: 16 }, one))
    }
    const load = Promise.all(sessions.map(client))
    await until(() => answered > 500, { what: 'load', timeoutMs: 30_000 })
    gateway.process.signal('SIGTERM')
    await load
    assert.deepEqual(failed, [])
    assert.deepEqual(await gateway.process.exited, { code: 0, signal: null })
    assert.equal(upstream.requests.length, answered, `${notBegun} were not begun`)
  })

  it('ends WebSockets over HTTP/2 when the time to drain is over, and says so', async () => {
    await start(false, { SHUTDOWN_TIMEOUT_MS: '300' })
    const session = await openHttp2(gateway.url)
    const { stream } = await connectWebSocket(session, '/app')
    const isClosed = new Promise(resolve => stream.once('close', resolve))
    gateway.process.signal('SIGTERM')
    await isClosed
    assert.deepEqual(await gateway.process.exited, { code: 0, signal: null })
    const line = gateway.logs.find(({ event }) => event === 'request')
    assert.deepEqual([line?.['status'], line?.['reason'], line?.['ended_by']], [101, 'draining', 'gateway'])
    session.destroy()
  })
})
