import assert from 'node:assert/strict'
import { sampleValue } from '../support/exposition'
import { scrape } from '../support/ops-port'
import { loopbackAddresses, startSlowReaders, type SlowReaders } from '../support/slow-readers'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { askBeside } from '../support/under-load'
import { until } from '../support/until'

const MIB = 1_048_576
const MAX_CONNECTIONS = 128
const HEALTHY_REQUESTS = 200
/** Bytes: the total of `entrypoint.responseBuffer`, and one read for each upstream connection. */
const BUFFER_AT_MOST = 64 * MIB + MAX_CONNECTIONS * 65_536

/** Bytes: the buffer, the memory Node needs for 500 connections, and the program itself. */
const MEMORY_AT_MOST = 640 * MIB

interface Attack {
  readonly count: number
  readonly mib: number
  readonly addresses: readonly string[]
  /** Number of other clients. They have the addresses from 127.0.1.1 on. */
  readonly others: number
}

const ATTACKS: readonly Attack[] = [
  { count: 140, mib: 16, addresses: ['127.0.0.1'], others: 1 },
  { count: 500, mib: 1, addresses: ['127.0.0.1'], others: 20 },
  { count: 300, mib: 8, addresses: loopbackAddresses(2, 150), others: 4 },
  // The other client is behind the same NAT as the slow ones.
  { count: 300, mib: 8, addresses: ['127.0.1.1'], others: 1 },
]
/**
 * The 99th percentile is at most three times that without the attack, and this many milliseconds more: docs/upstreams.md. A
 * request waits until a slow reader loses its connection, which takes 2.5 s, and the gateway first takes up to 64 MiB from the
 * upstream for the slow readers, which takes seconds on a busy machine.
 */
const MORE_MS = 15_000

describe('clients that read 4 KiB every 15 s', function () {
  this.timeout(90_000)
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

  for (const { count, mib, addresses, others } of ATTACKS) {
    const them = `${count} of them, ${mib} MiB each, from ${addresses.length} addresses`
    const whom = addresses[0] === '127.0.1.1' ? 'a client at their address' : `other clients: ${others}`
    it(`do not starve ${whom}: ${them}`, async () => {
      gateway = await startGateway({ config: JSON.stringify(proxyTo(upstream.url)) })
      const before = await askBeside(gateway.port, others, HEALTHY_REQUESTS, '/app/small')
      const requestsBefore = upstream.requests.length
      slow = startSlowReaders(gateway.port, `/app/${mib}`, { count, addresses })
      const begun = Math.min(count, 110)
      await until(() => upstream.requests.length >= requestsBefore + begun, {
        what: 'the upstream answers them',
        timeoutMs: 30_000,
      })

      const { p99, shed } = await askBeside(gateway.port, others, HEALTHY_REQUESTS, '/app/small')

      const bound = 3 * before.p99 + MORE_MS
      if (shed > 0) await gateway.process.waitForLog('shedding', entry => entry['event'] === 'shedding')
      else assert.ok(p99 < bound, `p99 ${p99} ms, at most ${bound} ms`)
      const families = await scrape(gateway.opsUrl)
      const used = sampleValue(families, 'gateway_response_buffer_usage_bytes', {}) ?? Infinity
      const rss = sampleValue(families, 'process_memory_usage_bytes', {}) ?? Infinity
      assert.ok(used <= BUFFER_AT_MOST, `${used} bytes are buffered`)
      assert.ok(rss <= MEMORY_AT_MOST, `${rss} bytes of memory`)
    })
  }
})
