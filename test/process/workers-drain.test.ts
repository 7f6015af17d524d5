import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { createAuthority } from '../support/certificates'
import { freePort } from '../support/free-port'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

/** What became of one connection; undefined: nothing yet. */
interface Probe {
  readonly kind: string
  outcome: string | undefined
}

const GET = 'GET /app HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'

/** Sends a request on a new connection. */
type Send = (settle: (outcome: string) => void) => void

function sendOn(open: () => Socket, ready = 'connect'): Send {
  return settle => {
    const socket = open()
    socket.once(ready, () => socket.write(GET))
    socket.on('data', (data: Buffer) => settle(`answered ${data.toString('latin1').slice(9, 12)}`))
    socket.on('error', (error: NodeJS.ErrnoException) => settle(`refused ${error.code}`))
    socket.on('close', () => settle('refused'))
  }
}

function sendHttp2(url: string): Send {
  return settle => {
    const session = connectHttp2(url, { rejectUnauthorized: false })
    session.on('error', (error: NodeJS.ErrnoException) => settle(`refused ${error.code}`))
    session.on('close', () => settle('refused'))
    const stream = session.request({ ':path': '/app' })
    stream.on('error', () => {})
    stream.on('response', headers => {
      settle(`answered ${headers[':status']}`)
      session.close()
    })
    stream.resume()
  }
}

describe('workers that drain', () => {
  const certificate = createAuthority('Test Authority').issue('localhost')
  let upstream: RunningUpstream
  let gateway: RunningGateway
  let pending: ServerResponse[] = []

  before(async () => {
    upstream = await startUpstream((request, response) => {
      if (request.url?.endsWith('/slow')) pending.push(response)
      else response.end('done')
    })
  })
  after(() => upstream.stop())
  afterEach(async () => {
    for (const response of pending) response.destroy()
    pending = []
    await gateway.kill()
  })

  /** Opens a connection of each kind every millisecond, from just before SIGTERM until all are refused. */
  async function drainUnder(kinds: Readonly<Record<string, Send>>): Promise<Probe[]> {
    const probes: Probe[] = []
    const isOver = (): boolean =>
      Object.keys(kinds).every(
        kind => probes.filter(probe => probe.kind === kind && probe.outcome === 'refused ECONNREFUSED').length >= 5,
      )
    const opening = (async () => {
      for (let round = 0; round < 5_000 && !isOver(); round++) {
        for (const [kind, send] of Object.entries(kinds)) {
          const probe: Probe = { kind, outcome: undefined }
          probes.push(probe)
          send(outcome => (probe.outcome ??= outcome))
        }
        await delay(1)
      }
    })()
    await until(() => probes.filter(({ outcome }) => outcome?.startsWith('answered')).length > 20, { what: 'traffic' })
    gateway.process.signal('SIGTERM')
    await opening
    await until(() => probes.every(({ outcome }) => outcome !== undefined), { what: 'each has an outcome' })
    return probes
  }

  async function holdOpen(open: () => Socket, ready: string): Promise<void> {
    const slow = open()
    slow.on('error', () => {})
    await once(slow, ready)
    slow.write('GET /app/slow HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await until(() => pending.length === 1, { what: 'a request in flight, which keeps the drain from its end' })
  }

  function assertOutcomes(probes: readonly Probe[], statuses: Readonly<Record<string, string>>): void {
    for (const [kind, status] of Object.entries(statuses)) {
      const outcomes = new Set(probes.filter(probe => probe.kind === kind).map(({ outcome }) => outcome))
      assert.ok(outcomes.has(`answered ${status}`) && outcomes.has('refused ECONNREFUSED'), [...outcomes].join())
      const others = [...outcomes].filter(outcome => outcome?.startsWith('answered'))
      assert.deepEqual(others, [`answered ${status}`], kind)
    }
  }

  it('serve a new connection or refuse it at once, over HTTP/1.1 and HTTP/2', async () => {
    const config = JSON.stringify(proxyTo(upstream.url, { entrypoint: { http2: { cleartext: true } } }))
    gateway = await startGateway({ config, env: { WORKERS: '2' } })
    const open = (): Socket => connect(gateway.port, '127.0.0.1')
    await holdOpen(open, 'connect')
    const probes = await drainUnder({ http1: sendOn(open), http2: sendHttp2(`http://127.0.0.1:${gateway.port}`) })
    assertOutcomes(probes, { http1: '200', http2: '200' })
    assert.equal(pending.length, 1, 'the drain is not over')
    pending[0]?.end('late')
    assert.deepEqual(await gateway.process.exited, { code: 0, signal: null })
  })

  it('do the same with TLS, and on the port that redirects', async () => {
    const redirectPort = await freePort()
    const tls = { cert: certificate.certFile, key: certificate.keyFile, redirectHttp: { port: redirectPort } }
    const config = JSON.stringify(proxyTo(upstream.url, { entrypoint: { tls } }))
    gateway = await startGateway({ config, env: { WORKERS: '2' } })
    const open = (): Socket => connectTls({ port: gateway.port, host: '127.0.0.1', rejectUnauthorized: false })
    await holdOpen(open, 'secureConnect')
    const probes = await drainUnder({
      http1: sendOn(open, 'secureConnect'),
      http2: sendHttp2(`https://127.0.0.1:${gateway.port}`),
      redirect: sendOn(() => connect(redirectPort, '127.0.0.1')),
    })
    assertOutcomes(probes, { http1: '200', http2: '200', redirect: '301' })
    assert.equal(pending.length, 1, 'the drain is not over')
    pending[0]?.end('late')
    assert.deepEqual(await gateway.process.exited, { code: 0, signal: null })
  })
})
