import { inspect } from 'node:util'
import { setTimeout as delay } from 'node:timers/promises'

export interface UntilOptions {
  /** What is awaited, for the error: "the target is up". */
  readonly what: string
  /** Default 10 s: far more than anything awaited here takes, so that only a defect reaches it. */
  readonly timeoutMs?: number
  /** Between two looks; default 20 ms. */
  readonly intervalMs?: number
}

/**
 * Looks again and again until `condition` returns something truthy, and returns that. A condition that throws is not met.
 *
 * @throws after `timeoutMs`, with what was awaited and what the last look saw.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { what, timeoutMs = 10_000, intervalMs = 20 }: UntilOptions,
): Promise<Exclude<T, false | 0 | '' | null | undefined>> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    let seen: unknown
    try {
      const value = await condition()
      if (value) return value as Exclude<T, false | 0 | '' | null | undefined>
      seen = value
    } catch (error) {
      seen = error
    }
    if (Date.now() >= deadline) {
      const last = seen instanceof Error ? seen.message : inspect(seen, { depth: 4, breakLength: 120 })
      throw new Error(`not within ${timeoutMs} ms: ${what}; last seen: ${last}`)
    }
    await delay(intervalMs)
  }
}
