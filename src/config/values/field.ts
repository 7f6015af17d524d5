import { z } from 'zod'
import type { Mistake, Parse } from './parsed'

/** What JSON Schema says of a value; editors show it, `docs/gateway.schema.json` carries it. */
export interface FieldMeta {
  /** Markdown; also the key's line in `docs/configuration.md`. */
  readonly description: string
  /** What the tables there show as its value, where neither type nor enum says it: `list of names`. Not part of the schema. */
  readonly value?: string
  /** In place of a type, where several kinds of values will do. */
  readonly anyOf?: readonly object[]
  readonly type?: 'string' | 'integer' | 'number' | 'boolean'
  readonly pattern?: string
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  readonly examples?: readonly (string | number | readonly string[])[]
}

/** What a custom issue of ours carries. */
export interface IssueParams {
  readonly mistake: Mistake
  /** The mistake is the key itself, not what it holds. */
  readonly isAboutKey: boolean
}

/** A value of the schema that one of our own parsers reads: zod's messages know nothing of what we allow. */
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
