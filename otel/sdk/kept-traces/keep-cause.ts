import type { ReadableSpan } from '@opentelemetry/sdk-trace'

/** Why a trace is kept. `sampled`: the head sampler chose it; the others are kept although it did not. */
export type KeepCause = 'fault' | 'limited' | 'slow' | 'unfinished' | 'sampled'

// As src/telemetry/semconv.ts writes them; this side of the process imports nothing from there.
export const ATTR_ROUTE = 'http.route'
export const ATTR_OUTCOME = 'gateway.outcome'
export const ATTR_REASON = 'gateway.reason'
export const ATTR_STREAM = 'gateway.stream'

/**
 * Why the group of this local root is kept, apart from sampling; undefined if there is no reason.
 *
 * @param slowMs a request that took longer is kept; streams are long by design and never count as slow
 */
export function keepCause(
  root: ReadableSpan,
  slowMs: number,
): Exclude<KeepCause, 'sampled' | 'unfinished'> | undefined {
  const { attributes } = root
  if (attributes[ATTR_OUTCOME] === 'fault') return 'fault'
  if (attributes[ATTR_REASON] === 'limited') return 'limited'
  if (attributes[ATTR_STREAM] === undefined && durationMs(root) > slowMs) return 'slow'
  return undefined
}

export function durationMs(span: ReadableSpan): number {
  return span.duration[0] * 1e3 + span.duration[1] / 1e6
}

/** The attribute's value if it is a string. */
export function textOf({ attributes }: ReadableSpan, name: string): string | undefined {
  const value = attributes[name]
  return typeof value === 'string' ? value : undefined
}
