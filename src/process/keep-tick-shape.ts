import { executionAsyncResource } from 'node:async_hooks'

let heldTick: object | undefined

/**
 * Holds one of the objects that Node makes for every `process.nextTick()`, ten of them for a request. Where a few full garbage
 * collections find none, V8 forgets their shape, and makes each one half a microsecond slower from then on, for as long as the
 * process lives (Node 20 to 24; docs/performance.md shows how to see it).
 */
export function keepTickShape(): void {
  process.nextTick(() => {
    heldTick = executionAsyncResource()
  })
}

/** Undefined until the next turn. */
export function keptTick(): object | undefined {
  return heldTick
}
