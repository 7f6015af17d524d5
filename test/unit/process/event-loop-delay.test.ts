import assert from 'node:assert/strict'
import { EventLoopDelay, PERIOD_MS, WORTH_A_WORD_MS } from '../../../src/process/event-loop-delay'

describe('the delay of the event loop', () => {
  let now: number
  let delay: EventLoopDelay

  beforeEach(() => {
    now = 100_000
    delay = new EventLoopDelay(() => now)
  })

  /** The loop stands still for so long, or goes on as it should with 0. */
  function pass(ms: number, late = 0): void {
    for (const end = now + ms; now < end;) {
      now += PERIOD_MS + late
      delay.tick()
    }
  }

  it('is nothing while the loop runs', () => {
    pass(10_000)
    assert.equal(delay.during(now - 1_000), 0)
  })

  it('is told of a request that was seen right after the loop stood still', () => {
    pass(1, 15_000)
    const startedAt = now
    pass(1_300)
    assert.equal(delay.during(startedAt), 15_000)
  })

  it('is told of a request during which the loop stood still', () => {
    const startedAt = now
    pass(500)
    pass(1, 700)
    pass(3_000)
    assert.equal(delay.during(startedAt), 700)
  })

  it('is not told of a request that came when it was over', () => {
    pass(1, 15_000)
    pass(3_000)
    assert.equal(delay.during(now), 0)
  })

  it('is not told where it is as short as on every busy machine', () => {
    pass(1, WORTH_A_WORD_MS - 1)
    assert.equal(delay.during(now), 0)
  })

  it('is remembered for a minute', () => {
    const startedAt = now
    pass(1, 5_000)
    pass(50_000)
    assert.equal(delay.during(startedAt), 5_000)
    pass(20_000)
    assert.equal(delay.during(startedAt), 0)
  })
})
