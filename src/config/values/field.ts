import { z } from 'zod'
import type { Mistake, Parse } from './parsed'

/** The JSON Schema metadata of a value; editors show it, and `docs/gateway.schema.json` contains it. */
export interface FieldMeta {
  /** Markdown; also the key's line in `docs/configuration.md`. */
  readonly description: string
  /**
   * The value shown in the tables there, if neither type nor enum describes it: `list of names`. Not part of the
   * schema.
   */
  readonly value?: string
  /** Replaces the type if several kinds of values are allowed. */
  readonly anyOf?: readonly object[]
  readonly type?: 'string' | 'integer' | 'number' | 'boolean'
  readonly pattern?: string
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  readonly examples?: readonly (string | number | readonly string[])[]
}

/** Parameters of our custom issues. */
export interface IssueParams {
  readonly mistake: Mistake
  /** The mistake is in the key, not in its value. */
  readonly isAboutKey: boolean
}

/** A schema value that one of our own parsers reads: zod's messages cannot name the allowed values. */
export function field<T>(parse: Parse<T>, meta?: FieldMeta): z.ZodType<T> {
  const schema = z.unknown().transform((found, context): T => {
    const parsed = parse(found)
    if ('value' in parsed) return parsed.value
    context.addIssue(issue({ mistake: parsed.mistake, isAboutKey: false }))
    return z.NEVER
  })
  return meta === undefined ? schema : schema.meta({ ...meta })
}

function issue(params: IssueParams): { code: 'custom'; message: string; params: Record<string, unknown> } {
  return { code: 'custom', message: params.mistake.problem, params: { ...params } }
}
