import type { HeaderField } from '../config/values/header'

export interface HeaderEditsConfig {
  /** Fields that replace all fields of the same name. */
  readonly set: readonly HeaderField[]
  /** Fields added to existing ones of the same name. */
  readonly add: readonly HeaderField[]
  /** Names, lower case. */
  readonly remove: readonly string[]
}

/** Header edits of a route, computed once. */
export interface HeaderEdits {
  /** Lower-case names that are removed or replaced. Also match with `_` for `-`, see `drops()`. */
  readonly dropped: ReadonlySet<string>
  /** Name, value pairs. */
  readonly set: readonly string[]
  readonly added: readonly string[]
}

/** Compiles header edits; undefined if there are none, so that most routes skip the work. */
export function toHeaderEdits(config: HeaderEditsConfig | undefined): HeaderEdits | undefined {
  if (config === undefined) return undefined
  const { set, add, remove } = config
  const dropped = [...remove, ...set.map(({ name }) => name)]
  return {
    dropped: new Set([...dropped, ...dropped.map(withDashes)]),
    set: set.flatMap(({ name, value }) => [name, value]),
    added: add.flatMap(({ name, value }) => [name, value]),
  }
}

/**
 * Returns whether a client's field is dropped. `X_Tenant` is dropped with `X-Tenant`: CGI and its successors treat them as
 * one field, so a client's could override the value set here.
 *
 * @param name lower case
 */
export function drops({ dropped }: HeaderEdits, name: string): boolean {
  return dropped.has(name) || (name.includes('_') && dropped.has(withDashes(name)))
}

function withDashes(name: string): string {
  return name.replaceAll('_', '-')
}

/** Adds the route's response fields to those of an upstream, from which dropped fields are already removed. */
export function editAnswer(fields: string[], { set, added }: HeaderEdits, limitFields: LimitFields): void {
  fields.push(...set)
  for (let i = 0; i < added.length; i += 2) addBesides(fields, added[i] as string, added[i + 1] as string, limitFields)
}

/**
 * Adds the route's response fields to a local reply. Fields that the reply itself sets are kept: edits must not make an
 * error cacheable or change its content type.
 */
export function editLocalReply(fields: string[], { set, added }: HeaderEdits, limitFields: LimitFields): void {
  const said = new Set(fields.filter((_, index) => index % 2 === 0).map(name => name.toLowerCase()))
  for (let i = 0; i < set.length; i += 2) {
    if (!said.has(set[i] as string)) fields.push(set[i] as string, set[i + 1] as string)
  }
  for (let i = 0; i < added.length; i += 2) {
    if (!said.has(added[i] as string)) addBesides(fields, added[i] as string, added[i + 1] as string, limitFields)
  }
}

type LimitFields = readonly string[] | undefined

/** Adds a field next to a rate-limit field of the same name, which would be left out otherwise. */
function addBesides(fields: string[], name: string, value: string, limitFields: LimitFields): void {
  if (limitFields !== undefined && !hasField(fields, name)) addLimitFields(fields, limitFields, name)
  fields.push(name, value)
}

/** Adds all rate-limit fields whose name the section does not have yet. */
export function addMissingLimitFields(fields: string[], limitFields: LimitFields): void {
  if (limitFields === undefined) return
  const end = fields.length
  for (let i = 0; i < limitFields.length; i += 2) {
    const name = limitFields[i] as string
    if (!hasField(fields, name.toLowerCase(), end)) fields.push(name, limitFields[i + 1] as string)
  }
}

/** @param only the name of the fields that are added, lower case */
export function addLimitFields(fields: string[], limitFields: LimitFields, only: string): void {
  if (limitFields === undefined) return
  for (let i = 0; i < limitFields.length; i += 2) {
    const name = limitFields[i] as string
    if (name.toLowerCase() === only) fields.push(name, limitFields[i + 1] as string)
  }
}

function hasField(fields: readonly string[], name: string, end = fields.length): boolean {
  for (let i = 0; i < end; i += 2) {
    const field = fields[i] as string
    if (field.length === name.length && field.toLowerCase() === name) return true
  }
  return false
}
