import { getHeapStatistics, type GCProfilerResult } from 'node:v8'

type Collection = GCProfilerResult['statistics'][number]

/** On V8's heap now, garbage included. */
export function usedBytes(): number {
  return getHeapStatistics().used_heap_size
}

/**
 * Everything that was allocated on V8's heap between two readings. Between collections the heap only grows, so the sum of
 * what it grew by is exact, whenever the collections happen and however much they free. CPU time, noise and the speed of
 * the machine are no part of it.
 *
 * @param collections all of the time in between, in order
 */
export function allocatedBytes(usedAtStart: number, collections: readonly Collection[], usedAtEnd: number): number {
  let allocated = 0
  let used = usedAtStart
  for (const { beforeGC, afterGC } of collections) {
    allocated += beforeGC.heapStatistics.usedHeapSize - used
    used = afterGC.heapStatistics.usedHeapSize
  }
  return allocated + usedAtEnd - used
}
