import assert from 'node:assert/strict'
import { Pool } from 'undici'
import { sampleValue } from '../support/exposition'
import { scrape } from '../support/ops-port'
import { loopbackAddresses, startSlowReaders, type SlowReaders } from '../support/slow-readers'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const MIB = 1_048_576
const MAX_CONNECTIONS = 128
const HEALTHY_ADDRESS = '127.0.9.1'
const HEALTHY_REQUESTS = 200
/** Bytes: the total of `entrypoint.responseBuffer`, and one read for each upstream connection. */
const BUFFER_AT_MOST = 64 * MIB + MAX_CONNECTIONS * 65_536

/** Bytes: the buffer, the memory Node needs for 500 connections, and the program itself. */
const MEMORY_AT_MOST = 640 * MIB

interface Attack {
  readonly count: number
  readonly mib: number
  readonly addresses: readonly string[]
  /** Address of the client that reads. */
  readonly from: string
  readonly p99Ms: number
  /** Default: the default settings. */
  readonly entrypoint?: object
}

/** The 99th percentile of another client during the attack. The limit allows for the first seconds of a slow machine. */
const ATTACKS: readonly Attack[] = [
  { count: 140, mib: 16, addresses: ['127.0.0.1'], from: HEALTHY_ADDRESS, p99Ms: 10_000 },
  { count: 500, mib: 1, addresses: ['127.0.0.1'], from: HEALTHY_ADDRESS, p99Ms: 10_000 },
  { count: 300, mib: 8, addresses: loopbackAddresses(1, 150), from: HEALTHY_ADDRESS, p99Ms: 15_000 },
  // Behind the same NAT as the slow clients. Without load shedding, which a slow machine needs for as long: it has its own tests.
  {
    count: 300,
    mib: 8,
    addresses: ['127.0.0.1'],
    from: '127.0.0.1',
    p99Ms: 25_000,
    entrypoint: { overload: { maxEventLoopDelay: '0s' } },
  },
]

describe('clients that read 4 KiB every 15 s', function () {
  this.timeout(60_000)
  let upstream: RunningUpstream
  let gateway: RunningGateway
  let slow: SlowReaders | undefined

  before(async () => {
    const bodies = new Map([1, 8, 16].map(mib => [`/app/${mib}`, Buffer.alloc(mib * MIB)]))
    upstream = await startUpstream((request, response) => response.end(bodies.get(request.url ?? '') ?? 'ok'))
  })
  afterEach(async () => {
    slow?.destroy()
    await gateway.stop()
  })
  after(async () => {
    await upstream.stop()
  })

  for (const { count, mib, addresses, from, p99Ms, entrypoint = {} } of ATTACKS) {
    const them = `${count} of them, ${mib} MiB each, from ${addresses.length} addresses`
    it(`do not starve a client that reads${from === HEALTHY_ADDRESS ? '' : ' at their address'}: ${them}`, async () => {
      gateway = await startGateway({ config: JSON.stringify(proxyTo(upstream.url, { entrypoint })) })
      const requestsBefore = upstream.requests.length
      slow = startSlowReaders(gateway.port, `/app/${mib}`, { count, addresses })
      const begun = Math.min(count, 110)
      await until(() => upstream.requests.length >= requestsBefore + begun, {
        what: 'the upstream answers them',
        timeoutMs: 30_000,
      })

      const { statuses, tookMs } = await readResponses(from)

      assert.deepEqual([...statuses], [[200, HEALTHY_REQUESTS]])
      const p99 = tookMs.toSorted((a, b) => a - b)[Math.floor(tookMs.length * 0.99)] as number
      assert.ok(p99 < p99Ms, `p99 ${p99} ms`)
      const families = await scrape(gateway.opsUrl)
      const used = sampleValue(families, 'gateway_response_buffer_usage_bytes', {}) ?? Infinity
      const rss = sampleValue(families, 'process_memory_usage_bytes', {}) ?? Infinity
      assert.ok(used <= BUFFER_AT_MOST, `${used} bytes are buffered`)
      assert.ok(rss <= MEMORY_AT_MOST, `${rss} bytes of memory`)
    })
  }

  async function readResponses(
    localAddress: string,
  ): Promise<{ statuses: ReadonlyMap<number, number>; tookMs: number[] }> {
    const pool = new Pool(gateway.url, { connections: 4, localAddress })
    const statuses = new Map<number, number>()
    const tookMs: number[] = []
    const worker = async (): Promise<void> => {
      while (tookMs.length < HEALTHY_REQUESTS) {
        const startedAt = performance.now()
        const place = tookMs.push(0) - 1
        const { statusCode, body } = await pool.request({ path: '/app/small', method: 'GET' })
        await body.dump()
        tookMs[place] = performance.now() - startedAt
        statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
      }
    }
    await Promise.all(Array.from({ length: 4 }, worker))
    await pool.close()
    return { statuses, tookMs }
  }
})
