import assert from 'node:assert/strict'
import { RetryBudget } from '../../../src/upstream/retry-budget'

/** How many retries are allowed at `now`. */
function takeAll(budget: RetryBudget, now: number): number {
  let taken = 0
  while (taken < 1_000 && budget.take(now)) taken++
  return taken
}

describe('retry budget', () => {
  it('allows a fifth of the requests', () => {
    const budget = new RetryBudget()
    for (let i = 0; i < 200; i++) budget.countRequest(10_000)
    assert.equal(takeAll(budget, 10_000), 40)
  })

  it('allows a few however few requests there are', () => {
    const budget = new RetryBudget()
    budget.countRequest(10_000)
    assert.equal(takeAll(budget, 10_000), 10)
  })

  it('does not begin anew with the next half window', () => {
    const budget = new RetryBudget()
    for (let i = 0; i < 200; i++) budget.countRequest(10_000)
    assert.equal(takeAll(budget, 10_000), 40)
    for (let i = 0; i < 100; i++) budget.countRequest(15_000)
    assert.equal(takeAll(budget, 15_000), 20, 'a fifth of 300, less the 40 that were made')
  })

  it('forgets what is older than ten seconds', () => {
    const budget = new RetryBudget()
    for (let i = 0; i < 200; i++) budget.countRequest(10_000)
    takeAll(budget, 10_000)
    budget.countRequest(20_001)
    assert.equal(takeAll(budget, 20_001), 10)
  })
})
