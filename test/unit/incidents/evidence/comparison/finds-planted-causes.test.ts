import assert from 'node:assert/strict'
import { measure } from '../../../../support/measure-comparison'
import { CAUSES } from '../../../../support/planted-traffic'

/**
 * A small run with a fresh seed; `npm run measure:comparison` makes the large one whose rates docs/operations.md states. The
 * bounds leave room for chance: at those rates this fails once in some 100,000 runs.
 */
const CASES = 20
const WITHOUT_CAUSE = 80
const NAMED_AT_LEAST = 0.92
const FALSE_AT_MOST = 3

describe('the comparison of failing with good requests', function () {
  this.timeout(120_000)
  this.slow(20_000)
  const seed = Math.floor(Math.random() * 2 ** 31)

  it(`names a planted cause first (seed ${seed})`, () => {
    const measured = CAUSES.filter(cause => cause !== 'none').map(cause => measure(cause, CASES, seed))
    const cases = measured.reduce((sum, each) => sum + each.cases, 0)
    const named = measured.reduce((sum, each) => sum + each.named, 0)
    assert.equal(cases, CASES * (CAUSES.length - 1))
    assert.ok(named >= NAMED_AT_LEAST * cases, measured.flatMap(({ misses }) => misses).join('\n'))
  })

  it(`claims next to nothing where nothing was planted (seed ${seed})`, () => {
    const { cases, named, misses } = measure('none', WITHOUT_CAUSE, seed)
    assert.equal(cases, WITHOUT_CAUSE)
    assert.ok(named <= FALSE_AT_MOST, misses.join('\n'))
  })
})
