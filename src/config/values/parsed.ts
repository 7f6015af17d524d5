/** What is wrong with a value, worded to follow it: `"5" has no unit`. */
export interface Mistake {
  readonly problem: string
  /** What is allowed there. */
  readonly allowed?: string
  /** What was most likely meant. */
  readonly nearest?: string
  /** What was found may be a secret: no message repeats it. */
  readonly isSecret?: true
}

/** The outcome of reading one value; a mistake is data, so that all of them can be reported in one go. */
export type Parsed<T> = { readonly value: T } | { readonly mistake: Mistake }

/** Reads one value as it was found. Never throws. */
export type Parse<T> = (found: unknown) => Parsed<T>

export function mistake(problem: string, allowed?: string, nearest?: string): Mistake {
  return {
    problem,
    ...(allowed === undefined ? {} : { allowed }),
    ...(nearest === undefined ? {} : { nearest }),
  }
}

export function refuse(problem: string, allowed?: string, nearest?: string): { readonly mistake: Mistake } {
  return { mistake: mistake(problem, allowed, nearest) }
}

/** For a value that should be text; `null` is what YAML makes of a key with nothing behind it. */
export function notText(found: unknown, allowed: string): { readonly mistake: Mistake } {
  return refuse(found === undefined ? 'is missing' : found === null ? 'is empty' : 'is not text', allowed)
}
