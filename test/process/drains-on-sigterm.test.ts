import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { openRaw } from '../support/raw-http'
import { answerOf, open, problemOf, responseTo, send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'
import { closeOf, messageOn, openWebSocket, startWebSocketUpstream } from '../support/web-sockets'

const GET = 'GET /app HTTP/1.1\r\nHost: a\r\n\r\n'

describe('a gateway that receives a stop signal', () => {
  let upstream: RunningUpstream
  let gateway: RunningGateway
  /** Responses of the upstream that have not ended yet. */
  let pending: ServerResponse[] = []

  beforeEach(async () => {
    pending = []
    upstream = await startUpstream((_request, response) => pending.push(response))
  })
  afterEach(async () => {
    await gateway.kill()
    await upstream.stop()
  })

  async function start(env: NodeJS.ProcessEnv = {}): Promise<void> {
    gateway = await startGateway({ config: JSON.stringify(proxyTo(upstream.url)), env })
  }
  const isCalled = (calls: number): Promise<unknown> =>
    until(() => pending.length === calls, { what: `${calls} calls` })
  const isDraining = (): Promise<unknown> =>
    gateway.process.waitForLog('shutdown', entry => entry['event'] === 'shutdown')

  it('exits with 0 although an operation in a thread hangs, as a look-up does whose name server is silent', async function () {
    if (process.platform === 'win32') this.skip()
    const path = join(temporaryFolder(), 'fifo')
    execFileSync('mkfifo', [path])
    const nodeArgs = ['--require', join(__dirname, '../fixtures/hanging-thread.js')]
    gateway = await startGateway({
      config: JSON.stringify(proxyTo(upstream.url)),
      env: { HANGING_FILE: path },
      nodeArgs,
    })
    gateway.process.signal('SIGTERM')
    await gateway.process.waitForLog('stopped', entry => entry['event'] === 'stopped')
    const startedAt = performance.now()
    const exit = await gateway.process.exited
    assert.deepEqual(exit, { code: 0, signal: null })
    assert.ok(performance.now() - startedAt < 5_000, `${performance.now() - startedAt} ms`)
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`finishes exchanges in flight, accepts no new ones, and exits with 0: ${signal}`, async () => {
      await start()
      const begun = open(gateway.port, { path: '/app' })
      begun.end()
      await isCalled(1)
      pending[0]?.write('begun, ')
      const streaming = await responseTo(begun)
      const waiting = send(gateway.port, '/app')
      await isCalled(2)

      gateway.process.signal(signal)
      await isDraining()
      const ready = await fetch(`${gateway.opsUrl}/readyz`)
      assert.deepEqual([ready.status, await ready.json()], [503, { status: 'unavailable', reason: 'draining' }])
      assert.equal((await fetch(`${gateway.opsUrl}/livez`)).status, 200)
      await assert.rejects(send(gateway.port, '/app'), { code: 'ECONNREFUSED' })

      for (const response of pending) response.end('done')
      assert.equal((await answerOf(streaming)).text, 'begun, done')
      const { status, text, headers } = await waiting
      assert.deepEqual([status, text, headers.connection], [200, 'done', 'close'])
      assert.deepEqual(await gateway.process.exited, { code: 0, signal: null })
      assert.equal(gateway.logs.at(-1)?.['event'], 'stopped')
      assert.equal(gateway.logs.filter(entry => entry['event'] === 'request').length, 2)
    })
  }

  it('does not wait for clients that left behind hundreds of pipelined requests', async () => {
    await start()
    const clients = await Promise.all([1, 2, 3].map(() => openRaw(gateway.port)))
    for (const client of clients) client.send(GET.repeat(300))
    await isCalled(3)
    for (const [i, client] of clients.entries()) {
      if (i === 0) client.socket.resetAndDestroy()
      else client.destroy()
    }
    const started = performance.now()
    gateway.process.signal('SIGTERM')
    assert.deepEqual(await gateway.process.exited, { code: 0, signal: null })
    assert.ok(performance.now() - started < 5_000, `${performance.now() - started} ms`)
  })

  it('keeps serving for a while, reports that it is not ready, and sends Connection: close', async () => {
    await start({ SHUTDOWN_DELAY_MS: '1500' })
    const kept = await openRaw(gateway.port)
    const page = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
    kept.send(page)
    assert.match(await kept.waitFor('"ok"}'), /connection: keep-alive/i)
    const started = performance.now()
    gateway.process.signal('SIGTERM')
    await isDraining()
    assert.equal((await fetch(`${gateway.opsUrl}/readyz`)).status, 503)
    const late = await send(gateway.port, '/')
    assert.deepEqual([late.status, late.headers.connection], [200, 'close'])
    kept.send(page)
    assert.match(await kept.closed(), /connection: close/i)
    assert.deepEqual(await gateway.process.exited, { code: 0, signal: null })
    assert.ok(performance.now() - started >= 1_450)
  })

  it('stops accepting requests at once after Ctrl-C', async () => {
    await start({ SHUTDOWN_DELAY_MS: '60000' })
    gateway.process.signal('SIGINT')
    assert.deepEqual(await gateway.process.exited, { code: 0, signal: null })
  })

  it('closes idle connections at once', async () => {
    await start()
    const idle = await openRaw(gateway.port)
    idle.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await idle.waitFor('"ok"}')
    const started = performance.now()
    gateway.process.signal('SIGTERM')
    await idle.closed()
    assert.deepEqual(await gateway.process.exited, { code: 0, signal: null })
    assert.ok(performance.now() - started < 5_000)
  })

  it('aborts hanging exchanges at the deadline, answers their clients, and exits with 0', async () => {
    await start({ SHUTDOWN_TIMEOUT_MS: '500' })
    const waiting = send(gateway.port, '/app')
    const reading = await openRaw(gateway.port)
    await isCalled(1)
    reading.send(GET)
    await isCalled(2)
    pending[1]?.write('begun')
    await reading.waitFor('begun')
    const tunnel = await openRaw(gateway.port)
    tunnel.send('CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n')
    await tunnel.waitFor('"bad_request"')
    const started = performance.now()
    gateway.process.signal('SIGTERM')
    const answer = await waiting
    assert.deepEqual([answer.status, problemOf(answer)['reason']], [503, 'draining'])
    assert.ok(!(await reading.closed()).includes('\r\n0\r\n'), 'not taken for whole')
    assert.deepEqual(await gateway.process.exited, { code: 0, signal: null })
    const took = performance.now() - started
    assert.ok(took >= 450 && took < 6_000, `${took} ms`)
    assert.ok(gateway.logs.some(entry => entry['msg'] === 'requests in flight were aborted'))
    const ends = gateway.logs.filter(entry => entry['path'] === '/app').map(entry => entry['reason'])
    assert.deepEqual(ends, ['draining', 'draining'])
    tunnel.destroy()
  })

  it('waits for WebSockets until the deadline, then closes their connections, and exits with 0', async () => {
    const webSockets = await startWebSocketUpstream()
    const env = { SHUTDOWN_TIMEOUT_MS: '500' }
    gateway = await startGateway({ config: JSON.stringify(proxyTo(webSockets.url)), env })
    const [socket, closing] = [await openWebSocket(`${gateway.url}/app`), await openWebSocket(`${gateway.url}/app`)]
    const closed = [closeOf(socket), closeOf(webSockets.sockets[0]!)]
    gateway.process.signal('SIGTERM')
    await isDraining()
    for (const each of [socket, closing]) {
      each.send('still there')
      assert.equal(await messageOn(each), 'still there')
    }
    closing.close(1000)
    assert.equal(await closeOf(closing), 1000)
    assert.deepEqual(await Promise.all(closed), [1006, 1006])
    assert.deepEqual(await gateway.process.exited, { code: 0, signal: null })
    const ends = gateway.logs.filter(({ event }) => event === 'request')
    assert.deepEqual(
      ends.map(({ status, outcome, reason, ended_by: endedBy }) => [status, outcome, reason, endedBy]),
      [
        // After a closing handshake the server closes the connection first (RFC 6455 §7.1.1).
        [101, 'ok', undefined, 'upstream'],
        [101, 'refusal', 'draining', 'gateway'],
      ],
    )
    await webSockets.stop()
  })

  it('exits at once on a second signal', async () => {
    await start()
    const client = await openRaw(gateway.port)
    client.send(GET)
    await isCalled(1)
    gateway.process.signal('SIGTERM')
    await isDraining()
    gateway.process.signal('SIGTERM')
    assert.deepEqual(await gateway.process.exited, { code: 1, signal: null })
    assert.equal(gateway.logs.at(-1)?.['msg'], 'stopped at once after a second signal')
    client.destroy()
  })

  it('exits although a client keeps a silent connection open', async () => {
    await start({ SHUTDOWN_TIMEOUT_MS: '500' })
    const silent = await openRaw(gateway.port)
    const half = await openRaw(gateway.port)
    half.send('GET /app HTTP/1.1\r\nHost')
    const started = performance.now()
    gateway.process.signal('SIGTERM')
    assert.equal((await gateway.process.exited).code, 0)
    assert.ok(performance.now() - started < 6_000)
    silent.destroy()
    half.destroy()
  })

  it('cancels the calls of clients that leave while it drains', async () => {
    await start()
    const client = await openRaw(gateway.port)
    client.send(GET)
    await isCalled(1)
    gateway.process.signal('SIGTERM')
    await isDraining()
    const lost = once(pending[0]!, 'close')
    client.destroy()
    await lost
    assert.equal((await gateway.process.exited).code, 0)
  })
})
