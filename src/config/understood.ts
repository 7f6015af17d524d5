import type { z } from 'zod'

/** What checks between keys need of a file that may be wrong anywhere. */

/** At most ten of them: what is allowed must stay readable. */
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
