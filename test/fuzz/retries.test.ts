import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { RetryBudget } from '../../src/upstream/retry-budget'
import { send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { holds } from './properties'
import { SEED } from './settings'

const WINDOW_MS = 10_000
const FLOOR = 10
const EXTRA = 0.2

const events = fc.array(
  fc.record({
    isRetry: fc.boolean(),
    count: fc.integer({ min: 1, max: 30 }),
    afterMs: fc.integer({ min: 0, max: 4_000 }),
  }),
  { maxLength: 100 },
)

describe('any mixture of requests and retries', () => {
  it('gets no more retries in a window than the budget gives for the requests in and around it', () => {
    holds(
      fc.property(events, mixture => {
        const budget = new RetryBudget()
        const requests: number[] = []
        const retries: number[] = []
        let now = 1_000_000
        for (const { isRetry, count, afterMs } of mixture) {
          now += afterMs
          for (let i = 0; i < count; i++) {
            if (isRetry && budget.take(now)) retries.push(now)
            else if (!isRetry) {
              budget.countRequest(now)
              requests.push(now)
            }
          }
        }
        for (const [i, first] of retries.entries()) {
          // Half a window, the shortest that the budget looks at: what it counts began at most a whole window before.
          const within = retries.slice(i).filter(at => at < first + WINDOW_MS / 2).length
          const seen = requests.filter(at => at > first - WINDOW_MS && at < first + WINDOW_MS / 2).length
          // It may end and begin in the middle, with the allowance of each.
          assert.ok(within <= 2 * Math.max(FLOOR, EXTRA * seen), `${within} retries for ${seen} requests`)
        }
      }),
      300,
    )
  })
})

describe('any failing upstream', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline
  const failures = new Map<string, number>()

  before(async () => {
    upstream = await startUpstream((request, response) => {
      const path = request.url ?? ''
      const left = failures.get(path) ?? 0
      failures.set(path, left - 1)
      request.resume()
      response.writeHead(left > 0 ? 503 : 200).end()
    })
  })
  after(async () => {
    await upstream.stop()
  })

  for (const attempts of [2, 3]) {
    it(`gets no more than ${attempts} calls for one request, and one for a POST`, async () => {
      const app = { retries: { attempts, conditions: ['503'] }, ejection: { failures: 0 } }
      pipeline = await startPipeline(proxyTo(upstream.url, { upstream: app }))
      let number = 0
      const calls = fc.asyncProperty(
        fc.nat(5),
        fc.constantFrom('GET', 'PUT', 'POST', 'DELETE'),
        async (failing, method) => {
          const path = `/app/${attempts}-${number++}`
          failures.set(path, failing)
          const { status } = await send(pipeline.port, { path, method })
          const made = upstream.requests.filter(({ url }) => url === path).length
          const most = method === 'POST' ? 1 : attempts
          assert.ok(made >= 1 && made <= most, `${made} calls`)
          assert.equal(status, made > failing ? 200 : 503)
        },
      )
      await fc.assert(calls, { seed: SEED, numRuns: 60 })
      await pipeline.stop()
    })
  }
})
