import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { Pool } from 'undici'
import { sampleValue } from '../support/exposition'
import { needs } from '../support/needs'
import { openRaw } from '../support/raw-http'
import { scrape } from '../support/ops-port'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

const MINUTES = Number(process.env['SOAK_MINUTES'] ?? 20)
const SAMPLE_EVERY_MS = 5_000
const DRILL_EVERY_MS = 2_000
const CLIENTS = 8
/** What a client waits between two requests, so that the machine has room for the drills. */
const THINK_MS = 10
/** Growth of the mean of the last third over that of the third before: what the heap breathes. */
const GROWTH_AT_MOST = 1.1
const MIB = 1_048_576

interface Sample {
  readonly second: number
  readonly rss: number
  readonly heap: number
  readonly requests: number
}

/**
 * Not part of `npm test`: the outages of the drills, again and again under mixed traffic, with reloads and restarts of Redis in
 * between. Memory has to stay where it was.
 */
describe('the gateway through outages again and again', function () {
  this.timeout(MINUTES * 60_000 + 120_000)
  let targets: RunningUpstream[]
  let redis: RunningRedis
  let gateway: RunningGateway

  before(needs('redis-server'))
  before(async () => {
    targets = await Promise.all([1, 2, 3].map(async () => startUpstream(answer)))
    redis = await startRedis()
    gateway = await startGateway({
      config: config(0),
      env: { REDIS_URL: redis.url, REPLICAS: '1' },
    })
  })
  after(async () => {
    await gateway.stop()
    await Promise.all(targets.map(target => target.stop()))
    await redis.kill()
  })

  it('keeps its memory flat', async () => {
    const over = new AbortController()
    const statuses = new Map<number | string, number>()
    const traffic = Array.from({ length: CLIENTS }, async (_, i) => sendUntil(over.signal, i, statuses))
    const drills = drillUntil(over.signal)
    const samples: Sample[] = []
    const startedAt = performance.now()
    while (performance.now() - startedAt < MINUTES * 60_000) {
      await pause(SAMPLE_EVERY_MS)
      samples.push(await sample((performance.now() - startedAt) / 1_000, statuses))
      if (samples.length % Math.max(1, Math.floor((MINUTES * 60_000) / SAMPLE_EVERY_MS / 20)) === 0)
        print(samples.at(-1) as Sample)
    }
    over.abort()
    await Promise.all([...traffic, drills])

    const third = Math.floor(samples.length / 3)
    const earlier = meanRss(samples.slice(-2 * third, -third))
    const later = meanRss(samples.slice(-third))
    const ended = [...statuses].map(([status, count]) => `${count} × ${status}`).join(', ')
    console.log(`      ${ended}; mean RSS ${inMib(earlier)}, then ${inMib(later)}; ${drillsDone} drills`)
    assert.ok(later <= earlier * GROWTH_AT_MOST, `memory grew from ${inMib(earlier)} to ${inMib(later)}`)
    assert.ok((statuses.get(200) ?? 0) > 0, 'no request was served')
  })

  function config(reload: number): string {
    const [first, ...others] = targets.map(({ url }) => url)
    return JSON.stringify({
      upstreams: {
        app: { targets: [first, ...others], retries: { attempts: 2 } },
        // Another pool with each reload: what is left over must be closed.
        single: { targets: [first], maxConnections: 20 + (reload % 50) },
      },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app', rateLimit: { limit: 1_000_000, window: '1m' } },
        { name: `single-${reload % 20}`, match: { path: '/single' }, upstream: 'single' },
        {
          name: 'limited',
          match: { path: '/limited' },
          upstream: 'app',
          rateLimit: { limit: 5, window: '1s', key: 'header:x-client' },
        },
      ],
    })
  }

  let drillsDone = 0
  async function drillUntil(over: AbortSignal): Promise<void> {
    let reloads = 0
    const drills = [restartTarget, failTarget, async () => reload(++reloads), restartRedis, freezeRedis]
    for (; !over.aborted; drillsDone++) {
      await (drills[drillsDone % drills.length] as () => Promise<void>)()
      await pause(DRILL_EVERY_MS)
    }
  }

  async function restartTarget(): Promise<void> {
    const place = drillsDone % targets.length
    const { port } = targets[place] as RunningUpstream
    await targets[place]?.stop()
    await pause(500)
    targets[place] = await startUpstream(answer, { port })
  }

  async function failTarget(): Promise<void> {
    const target = targets[drillsDone % targets.length] as RunningUpstream
    target.handler = (_request, response) => response.writeHead(500).end()
    await pause(1_000)
    target.handler = answer
  }

  async function reload(number: number): Promise<void> {
    writeFileSync(gateway.configFile, config(number))
    gateway.process.signal('SIGHUP')
  }

  async function restartRedis(): Promise<void> {
    await redis.kill()
    await pause(500)
    await redis.startAgain()
  }

  async function freezeRedis(): Promise<void> {
    redis.freeze()
    await pause(500)
    redis.thaw()
  }

  async function sendUntil(over: AbortSignal, client: number, statuses: Map<number | string, number>): Promise<void> {
    const pool = new Pool(gateway.url, { connections: 1, localAddress: `127.0.3.${client + 1}` })
    const count = (what: number | string): void => void statuses.set(what, (statuses.get(what) ?? 0) + 1)
    for (let number = 0; !over.aborted; number++) {
      try {
        if (number % 50 === 49) {
          await leaveEarly()
          count('left early')
        } else {
          const { statusCode, body } = await pool.request(requestOf(client, number))
          await body.dump()
          count(statusCode)
        }
      } catch (error) {
        count((error as NodeJS.ErrnoException).code ?? 'error')
      }
      for (const target of targets) target.requests.length = 0
      await pause(THINK_MS)
    }
    await pool.destroy()
  }

  /** A client that breaks off in the middle of a response. */
  async function leaveEarly(): Promise<void> {
    const connection = await openRaw(gateway.port)
    connection.send('GET /app/large HTTP/1.1\r\nHost: a\r\n\r\n')
    await connection.waitFor('HTTP/1.1')
    connection.destroy()
  }

  async function sample(second: number, statuses: ReadonlyMap<number | string, number>): Promise<Sample> {
    const families = await scrape(gateway.opsUrl)
    const heap = families.get('v8js_memory_heap_used_bytes')?.samples.reduce((sum, { value }) => sum + value, 0) ?? 0
    return {
      second,
      rss: sampleValue(families, 'process_memory_usage_bytes', {}) ?? Infinity,
      heap,
      requests: [...statuses.values()].reduce((sum, count) => sum + count, 0),
    }
  }
})

const LARGE = Buffer.alloc(2 * MIB)

function answer(request: IncomingMessage, response: ServerResponse): void {
  request.resume()
  request.on('end', () => {
    if (request.url?.includes('large') === true) response.end(LARGE)
    else response.end('ok')
  })
}

function requestOf(client: number, number: number) {
  const paths = ['/app', '/single', '/limited', '/nowhere', '/app/large', '/app/../x']
  const path = paths[number % (number % 10 === 0 ? paths.length : 3)] as string
  const method = number % 4 === 3 ? ('POST' as const) : ('GET' as const)
  const body = method === 'POST' ? Buffer.alloc(number % 8 === 7 ? 200_000 : 100) : null
  return { path, method, body, headers: { 'x-client': `${client}-${number % 500}` } }
}

function meanRss(samples: readonly Sample[]): number {
  return samples.reduce((sum, { rss }) => sum + rss, 0) / samples.length
}

function print({ second, rss, heap, requests }: Sample): void {
  console.log(
    `      ${String(Math.round(second)).padStart(5)} s  ${inMib(rss)} RSS  ${inMib(heap)} heap  ${requests} requests`,
  )
}

function inMib(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`
}
