import type { ServerResponse } from 'node:http'
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
export function editAnswer(fields: string[], { set, added }: HeaderEdits, response: ServerResponse): void {
  fields.push(...set)
  for (let i = 0; i < added.length; i += 2) addBesides(fields, added[i] as string, added[i + 1] as string, response)
}

/**
 * Adds the route's response fields to a local reply. Fields that the reply itself sets are kept: edits must not make an
 * error cacheable or change its content type.
 */
export function editLocalReply(fields: string[], { set, added }: HeaderEdits, response: ServerResponse): void {
  const said = new Set(fields.filter((_, index) => index % 2 === 0).map(name => name.toLowerCase()))
  for (let i = 0; i < set.length; i += 2) {
    if (!said.has(set[i] as string)) fields.push(set[i] as string, set[i + 1] as string)
  }
  for (let i = 0; i < added.length; i += 2) {
    if (!said.has(added[i] as string)) addBesides(fields, added[i] as string, added[i + 1] as string, response)
  }
}

/** Adds a field next to those that earlier stages have set; `writeHead()` would replace them. */
function addBesides(fields: string[], name: string, value: string, response: ServerResponse): void {
  const earlier = response.getHeader(name)
  const isThere = earlier !== undefined && fields.some((field, i) => i % 2 === 0 && field.toLowerCase() === name)
  if (earlier !== undefined && !isThere) for (const one of [earlier].flat()) fields.push(name, String(one))
  fields.push(name, value)
}
