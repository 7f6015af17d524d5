import assert from 'node:assert/strict'
import { LoadShedder } from '../../../src/entrypoint/shed-load'
import { recordedLog } from '../../support/start-pipeline'

const LIMITS = { maxRequests: 100, maxEventLoopDelayMs: 500 }

describe('load shedding', () => {
  let shedder: LoadShedder
  let logs: ReturnType<typeof recordedLog>['logs']
  /** What the dice show. */
  let random = 0

  function start(limits: typeof LIMITS = LIMITS): void {
    const recorded = recordedLog()
    ;({ logs } = recorded)
    shedder = new LoadShedder(limits, recorded.log, () => random)
  }
  /** The share that is turned away, to a hundredth. */
  function share(): number {
    let rejected = 0
    for (let i = 0; i < 100; i++) {
      random = i / 100
      if (shedder.rejects(0)) rejected++
    }
    return rejected / 100
  }
  function look(times: number, delayMs: number): void {
    for (let i = 0; i < times; i++) shedder.look(delayMs)
  }

  beforeEach(() => {
    start()
  })
  afterEach(() => {
    shedder.close()
  })

  it('turns nobody away below the bounds', () => {
    look(100, 499)
    assert.equal(shedder.rejects(99), false)
    assert.equal(share(), 0)
  })

  it('turns away what is above the number in flight', () => {
    assert.equal(shedder.rejects(100), true)
    assert.equal(shedder.rejects(99), false)
  })

  it('does not take one long pause for overload', () => {
    look(1, 3_600_000)
    assert.equal(share(), 0)
    look(1, 0)
    assert.equal(share(), 0)
  })

  it('turns away more and more while the event loop is late, but never everything', () => {
    look(1, 2_000)
    const shares = Array.from({ length: 10 }, () => {
      look(1, 2_000)
      return share()
    })
    assert.ok(
      shares.every((now, i) => i === 0 || now >= shares[i - 1]!),
      shares.join(' '),
    )
    assert.deepEqual([shares[0], shares.at(-1)], [0.2, 0.95])
  })

  it('stays as it is while the event loop is neither well nor too late', () => {
    look(5, 800)
    const before = share()
    assert.ok(before > 0)
    look(3, 400)
    look(100, 300)
    assert.ok(share() >= before)
  })

  it('comes back slowly, so that it does not swing', () => {
    look(10, 2_000)
    look(10, 0)
    const soon = share()
    assert.ok(soon > 0.7 && soon < 0.95, String(soon))
    look(60, 0)
    assert.equal(share(), 0)
  })

  it('settles where load and delay are in balance: a loop that is late by what it lets in', () => {
    let [least, most] = [1, 0]
    for (let i = 0; i < 600; i++) {
      const passed = 1 - share()
      // Twice as much comes in as the loop can do within the bound.
      look(1, passed * 2 * LIMITS.maxEventLoopDelayMs)
      if (i > 200) [least, most] = [Math.min(least, passed), Math.max(most, passed)]
    }
    assert.ok(least > 0.15, `lets in at least a part at any time: ${least}`)
    assert.ok(most <= 0.75, `and never everything: ${most}`)
  })

  it('has clients come back at different times', () => {
    random = 0
    assert.equal(shedder.retryAfter(), 1)
    random = 0.999
    assert.equal(shedder.retryAfter(), 5)
  })

  it('can be turned off, each bound by itself', () => {
    start({ maxRequests: 0, maxEventLoopDelayMs: 0 })
    look(100, 100_000)
    assert.equal(shedder.rejects(1_000_000), false)
    assert.equal(share(), 0)
  })

  it('says when it begins and when it is over, and how many it hit', () => {
    for (let i = 0; i < 7; i++) shedder.rejects(100)
    look(49, 0)
    shedder.rejects(100)
    look(51, 0)
    look(100, 0)
    assert.deepEqual(
      logs.map(({ event, level, in_flight, turned_away }) => ({ event, level, in_flight, turned_away })),
      [
        { event: 'shedding', level: 'warn', in_flight: 100, turned_away: undefined },
        { event: 'shedding', level: 'info', in_flight: undefined, turned_away: 8 },
      ],
    )
  })
})
