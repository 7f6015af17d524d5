import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Pipeline } from '../support/start-pipeline'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Without garbage: heap and what it holds outside. */
export function memoryInUse(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** A test's pipeline remembers every request and log line, which would look like a leak. */
export function forgetRecords({ logs, counted }: Pipeline): void {
  for (const records of [logs, counted]) (records as unknown[]).length = 0
}
