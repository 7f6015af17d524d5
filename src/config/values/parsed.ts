/** A problem with a value, worded to follow it: `"5" has no unit`. */
export interface Mistake {
  readonly problem: string
  /** The allowed values. */
  readonly allowed?: string
  /** The value that was probably meant. */
  readonly nearest?: string
  /** The value may be a secret: no message repeats it. */
  readonly isSecret?: true
}

/** The result of parsing one value; a mistake is data, so that all of them can be reported together. */
export type Parsed<T> = { readonly value: T } | { readonly mistake: Mistake }

/** Parses one value. Never throws. */
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

/** The mistake of a value that should be text; YAML reads a key without a value as `null`. */
export function notText(found: unknown, allowed: string): { readonly mistake: Mistake } {
  return refuse(found === undefined ? 'is missing' : found === null ? 'is empty' : 'is not text', allowed)
}
