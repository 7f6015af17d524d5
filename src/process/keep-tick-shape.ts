import { executionAsyncResource } from 'node:async_hooks'

let heldTick: object | undefined

/**
 * Keeps one of the objects that Node creates for every `process.nextTick()`, ten per request. If a few full garbage
 * collections find none, V8 drops their shape and creates each one half a microsecond slower for the rest of the process'
 * life (Node 20 to 24; docs/performance.md shows how to reproduce it).
 */
export function keepTickShape(): void {
  process.nextTick(() => {
    heldTick = executionAsyncResource()
  })
}

/** Returns the kept object; undefined until the next turn of the event loop. */
export function keptTick(): object | undefined {
  return heldTick
}
