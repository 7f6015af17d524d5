import assert from 'node:assert/strict'
import { createHook } from 'node:async_hooks'
import { keepTickShape, keptTick } from '../../../src/process/keep-tick-shape'

describe('the tick that is held', () => {
  it('is one of those that Node makes for process.nextTick()', async () => {
    const ticks: object[] = []
    const hook = createHook({ init: (_id, type, _trigger, resource) => type === 'TickObject' && ticks.push(resource) })
    hook.enable()
    keepTickShape()
    hook.disable()
    await new Promise(setImmediate)
    assert.equal(ticks.length, 1)
    assert.equal(keptTick(), ticks[0])
  })
})
