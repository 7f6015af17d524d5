import { availableParallelism } from 'node:os'
import { refuse, type Parse } from './parsed'
import { wholeNumberText } from './whole-number'

const MAX_WORKERS = 128
const parseNumber = wholeNumberText({ atLeast: 1, atMost: MAX_WORKERS })

/** Parses the number of workers; `auto` is one for each core that this process may use. */
export const parseWorkers: Parse<number> = found => {
  if (found === 'auto') return { value: Math.min(MAX_WORKERS, availableParallelism()) }
  const parsed = parseNumber(found)
  return 'value' in parsed ? parsed : refuse(parsed.mistake.problem, `auto, or a whole number from 1 to ${MAX_WORKERS}`)
}
