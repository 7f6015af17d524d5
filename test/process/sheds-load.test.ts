import assert from 'node:assert/strict'
import { Agent } from 'undici'
import { sendMany } from '../support/send-many'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('a gateway with a delayed event loop', () => {
  let upstream: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    upstream = await startUpstream()
    const entrypoint = { overload: { maxRequests: 0, maxEventLoopDelay: '25ms' } }
    gateway = await startGateway({ config: JSON.stringify(proxyTo(upstream.url, { entrypoint })) })
  })
  after(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  it('refuses part of the requests, keeps the ops port responsive, and recovers by itself', async function () {
    this.timeout(120_000)
    const crowd = new Agent({ connections: 50 })
    const statuses = new Map<number, number>()
    const over = new AbortController()
    const ask = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const { statusCode, headers, body } = await crowd.request({ origin: gateway.url, path: '/app', method: 'GET' })
        await body.dump()
        statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
        if (statusCode === 503) assert.match(String(headers['retry-after']), /^[1-5]$/)
      }
    }
    const asking = Array.from({ length: 50 }, ask)
    const starvation = starve(gateway)
    try {
      await until(() => (statuses.get(503) ?? 0) > 100, { what: 'requests are turned away', timeoutMs: 45_000 })
      for (const url of [`${gateway.opsUrl}/livez`, `${gateway.opsUrl}/metrics`, `${gateway.url}/metrics`]) {
        const answer = await fetch(url)
        assert.equal(answer.status, 200, url)
        await answer.text()
      }
    } finally {
      starvation.end()
      over.abort()
      await Promise.all(asking)
      await crowd.close()
    }
    assert.deepEqual(new Set(statuses.keys()), new Set([200, 503]))
    await until(async () => (await sendMany(gateway.url, 50, () => ({ path: '/app' }))).get(200) === 50, {
      what: 'everybody is served again',
      timeoutMs: 60_000,
    })
    await gateway.process.waitForLog('shedding', entry => entry['event'] === 'shedding')
  })
})

/**
 * Starves the gateway of processor time, as another program on the machine could: it runs for 50 ms, then pauses for 250 ms.
 * The test does not use many requests instead, because the number that delays the event loop differs on every machine.
 */
function starve(gateway: RunningGateway): { end(): void } {
  let timer: NodeJS.Timeout
  const stopIt = (): void => {
    gateway.process.signal('SIGSTOP')
    timer = setTimeout(letItRun, 250)
  }
  const letItRun = (): void => {
    gateway.process.signal('SIGCONT')
    timer = setTimeout(stopIt, 50)
  }
  stopIt()
  return {
    end: () => {
      clearTimeout(timer)
      gateway.process.signal('SIGCONT')
    },
  }
}
