import { z } from 'zod'
import { checkFieldNames } from '../config/field-names-check'
import { headerName, headerValue } from '../config/fields'
import type { ConfigProblem } from '../config/types'
import { asList, asMap } from '../config/understood'
import { toFields } from '../config/values/header'
import { mistake, type Parse } from '../config/values/parsed'
import type { HeaderEditsConfig } from '../exchange/header-edits'
import type { CheckContext } from './check-context'
import type { Line } from './define-policy'

/**
 * Returns the schema that `requestHeaders` and `responseHeaders` share.
 *
 * @param whose whose header section: the client's request, the upstream's response
 * @param removed what happens to the fields that are named under `remove`
 */
export function headerEditsSchema(parse: Parse<string>, whose: string, removed: string) {
  return z
    .strictObject({
      set: z
        .record(headerName(parse), headerValue)
        .prefault({})
        .meta({ description: `Fields by name. They replace those of ${whose}.`, value: 'map of names to values' }),
      add: z
        .record(headerName(parse), headerValue)
        .prefault({})
        .meta({ description: `Fields by name. They are added to those of ${whose}.`, value: 'map of names to values' }),
      remove: z.array(headerName(parse)).prefault([]).meta({ description: removed, value: 'list of names' }),
    })
    .transform(({ set, add, remove }) => ({ set: toFields(set), add: toFields(add), remove }))
    .optional()
}

export function checkHeaderEdits(_written: unknown, context: CheckContext): ConfigProblem[] {
  const { set, remove } = asMap(context.written)
  const names = new Set(Object.keys(asMap(set)).map(name => name.toLowerCase()))
  const both = mistake('is also set, which replaces what is there', 'each field either in "set" or in "remove"')
  return [
    ...checkFieldNames(context, 'set'),
    ...checkFieldNames(context, 'add'),
    ...asList(remove).flatMap((name, index) => {
      const isBoth = typeof name === 'string' && names.has(name.toLowerCase())
      return isBoth ? [context.problem(['remove', index], both)] : []
    }),
  ]
}

/** Describes header edits by names only: values may be credentials. */
export function describeEdits(what: string, { set, add, remove }: HeaderEditsConfig): Line[] {
  const parts = [
    ...said(
      set.map(({ name }) => name),
      'set',
    ),
    ...said(
      add.map(({ name }) => name),
      'added',
    ),
    ...said(remove, 'removed'),
  ]
  return parts.length === 0 ? [] : [{ about: 'changes', text: `${what} with ${parts.join(', ')}` }]
}

function said(names: readonly string[], what: string): string[] {
  return names.length === 0 ? [] : [`${names.join(' and ')} ${what}`]
}
