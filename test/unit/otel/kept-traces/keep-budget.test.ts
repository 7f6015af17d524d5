import assert from 'node:assert/strict'
import { KeepBudget } from '../../../../otel/sdk/kept-traces/keep-budget'

describe('the budget of kept traces', () => {
  it('never saves up more than two seconds’ worth', () => {
    const budget = new KeepBudget(3)
    const takeAll = (now: number): number =>
      Array.from({ length: 50 }, () => budget.take('/a', 'reset', now)).filter(Boolean).length
    assert.equal(takeAll(0), 6)
    assert.equal(takeAll(1_000_000), 6)
  })

  it('earns fractions: one every eight seconds', () => {
    const budget = new KeepBudget(1 / 8)
    const taken = Array.from({ length: 57 }, (_, second) => budget.take('/a', 'reset', second * 1_000))
    assert.equal(taken.filter(Boolean).length, 8)
  })

  it('does not mix up routes and reasons that look alike when joined', () => {
    const budget = new KeepBudget(0)
    assert.ok(budget.take('/a', 'b', 0))
    assert.ok(budget.take('/a b', '', 0))
    assert.ok(budget.take('', '/a b', 0))
    assert.ok(!budget.take('/a', 'b', 0))
  })
})
