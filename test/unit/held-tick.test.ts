import assert from 'node:assert/strict'
import { createHook } from 'node:async_hooks'
import { holdTick, tickThatIsHeld } from '../../src/held-tick'

describe('the tick that is held', () => {
  it('is one of those that Node makes for process.nextTick()', async () => {
    const ticks: object[] = []
    const hook = createHook({ init: (_id, type, _trigger, resource) => type === 'TickObject' && ticks.push(resource) })
    hook.enable()
    holdTick()
    hook.disable()
    await new Promise(setImmediate)
    assert.equal(ticks.length, 1)
    assert.equal(tickThatIsHeld(), ticks[0])
  })
})
