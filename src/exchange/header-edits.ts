import type { ServerResponse } from 'node:http'
import type { HeaderField } from '../config/values/header'

export interface HeaderEditsConfig {
  /** In the place of all fields of this name. */
  readonly set: readonly HeaderField[]
  /** Beside them. */
  readonly add: readonly HeaderField[]
  /** Names, lower case. */
  readonly remove: readonly string[]
}

/** What a route changes of a header section, worked out once. */
export interface HeaderEdits {
  /** Lower case: removed, or replaced by what is set. Also with `-` for `_`, see `drops()`. */
  readonly dropped: ReadonlySet<string>
  /** Name, value pairs. */
  readonly set: readonly string[]
  readonly added: readonly string[]
}

/** Undefined where nothing is to be changed, so that most routes pay nothing. */
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
 * Whether a client's field goes. `X_Tenant` goes with `X-Tenant`: for CGI and its heirs they are one, and a client's could
 * take the place of what is set here.
 *
 * @param name lower case
 */
export function drops({ dropped }: HeaderEdits, name: string): boolean {
  return dropped.has(name) || (name.includes('_') && dropped.has(withDashes(name)))
}

function withDashes(name: string): string {
  return name.replaceAll('_', '-')
}

/** Adds to an upstream's fields, of which those that are dropped are gone, what the route wants the client to get. */
export function editAnswer(fields: string[], { set, added }: HeaderEdits, response: ServerResponse): void {
  fields.push(...set)
  for (let i = 0; i < added.length; i += 2) addBesides(fields, added[i] as string, added[i + 1] as string, response)
}

/**
 * The same for an answer of the gateway's own, where what the answer itself says stays: an error that is cached or has
 * another type would be a second one.
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

/** `writeHead()` would put the field in place of those that earlier stages have set. */
function addBesides(fields: string[], name: string, value: string, response: ServerResponse): void {
  const earlier = response.getHeader(name)
  const isThere = earlier !== undefined && fields.some((field, i) => i % 2 === 0 && field.toLowerCase() === name)
  if (earlier !== undefined && !isThere) for (const one of [earlier].flat()) fields.push(name, String(one))
  fields.push(name, value)
}
