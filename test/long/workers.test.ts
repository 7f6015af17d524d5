import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { sampleValue } from '../support/exposition'
import { scrape } from '../support/ops-port'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const CLIENTS_OF_EACH_KIND = 6
/** The distance between replacements doubles with each. */
const KILLS = 7
const RELOADS = 15

/** Requests of clients with one connection each, and of clients with a new connection for each request. */
interface Load {
  ok: number
  readonly failures: string[]
  /** When the request that has waited longest was sent; undefined if none waits. */
  readonly oldestMs: () => number
  readonly stop: () => Promise<void>
}

function startLoad(port: number): Load {
  const over = new AbortController()
  const sentAt = new Map<number, number>()
  const load: Load = {
    ok: 0,
    failures: [],
    oldestMs: () => performance.now() - Math.min(performance.now(), ...sentAt.values()),
    stop: async () => {
      over.abort()
      await running
    },
  }
  const client = async (id: number, agent: Agent | undefined): Promise<void> => {
    while (!over.signal.aborted) {
      sentAt.set(id, performance.now())
      try {
        const { status } = await send(port, { path: '/app', ...(agent && { agent }) })
        if (status === 200) load.ok++
        else load.failures.push(`status ${status}`)
      } catch (error) {
        load.failures.push((error as NodeJS.ErrnoException).code ?? String(error))
      }
      sentAt.delete(id)
    }
    agent?.destroy()
  }
  const running = Promise.all(
    Array.from({ length: 2 * CLIENTS_OF_EACH_KIND }, (_, id) =>
      client(id, id % 2 === 0 ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined),
    ),
  )
  return load
}

describe('two workers under load', function () {
  this.timeout(180_000)
  let upstream: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    upstream = await startUpstream((_request, response) => void setTimeout(() => response.end('ok'), 5))
  })
  after(() => upstream.stop())
  afterEach(() => gateway.kill())

  async function start(env: NodeJS.ProcessEnv = {}): Promise<Load> {
    gateway = await startGateway({ config: JSON.stringify(proxyTo(upstream.url)), env: { WORKERS: '2', ...env } })
    const load = startLoad(gateway.port)
    await until(() => load.ok > 100, { what: 'traffic' })
    return load
  }
  const pids = async (): Promise<number[]> => {
    const { workers } = (await (await fetch(`${gateway.opsUrl}/status`)).json()) as {
      workers: { running: { pid: number; isListening: boolean }[] }
    }
    return workers.running.filter(({ isListening }) => isListening).map(({ pid }) => pid)
  }

  it('lose only the requests in flight on a worker that is killed, again and again, and no request waits for ever', async () => {
    const load = await start()
    for (let kill = 0; kill < KILLS; kill++) {
      const running = await until(async () => (await pids()).length === 2 && (await pids()), {
        what: 'two workers',
        timeoutMs: 60_000,
      })
      const before = load.failures.length
      process.kill(running[kill % 2] as number, 'SIGKILL')
      await until(async () => !(await pids()).includes(running[kill % 2] as number), { what: 'the end is noticed' })
      const served = load.ok
      await until(() => load.ok > served + 100, { what: 'the other one serves' })
      assert.ok(load.failures.length - before <= 2 * CLIENTS_OF_EACH_KIND, `${load.failures.length - before} failures`)
      assert.ok(load.oldestMs() < 5_000, `a request waits for ${load.oldestMs()} ms`)
    }
    await load.stop()
    // Of the requests in flight only.
    assert.deepEqual([...new Set(load.failures)], ['ECONNRESET'])
    assert.equal(sampleValue(await scrape(gateway.opsUrl), 'gateway_worker_restarts_total'), KILLS)
  })

  it('fail no request while the configuration is reloaded, by SIGHUP and by file', async () => {
    const load = await start()
    const text = readFileSync(gateway.configFile, 'utf8')
    for (let reload = 1; reload <= RELOADS; reload++) {
      const isByFile = reload % 3 === 0
      if (isByFile) writeFileSync(gateway.configFile, `${text}${' '.repeat(reload)}`)
      else gateway.process.signal('SIGHUP')
      const done = (): number =>
        gateway.logs.filter(({ event, result }) => event === 'config' && result === 'success').length
      await until(() => done() >= reload, { what: `reload ${reload}` })
    }
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.ok(load.ok > 500)
  })

  it('fail no request at SIGTERM: a load balancer has stopped sending within SHUTDOWN_DELAY_MS', async () => {
    const load = await start({ SHUTDOWN_DELAY_MS: '3000' })
    gateway.process.signal('SIGTERM')
    await until(async () => (await fetch(`${gateway.opsUrl}/readyz`)).status === 503, { what: 'draining' })
    const before = load.ok
    await delay(500)
    await load.stop()
    assert.ok(load.ok > before, 'it serves while it is draining')
    assert.deepEqual(load.failures, [])
    assert.deepEqual(await gateway.process.exited, { code: 0, signal: null })
  })
})
