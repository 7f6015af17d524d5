import type { z } from 'zod'

/** Helpers of checks between keys, for files that may be invalid anywhere. */

/** Lists at most ten names, so that the message stays readable. */
export function list(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(', ')
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown
}

export function read<T>(schema: z.ZodType<T>, found: unknown): T | undefined {
  return schema.safeParse(found).data
}

export function asMap(found: unknown): Readonly<Record<string, unknown>> {
  return typeof found === 'object' && found !== null && !Array.isArray(found) ? (found as Record<string, unknown>) : {}
}

export function asList(found: unknown): readonly unknown[] {
  return Array.isArray(found) ? found : []
}
