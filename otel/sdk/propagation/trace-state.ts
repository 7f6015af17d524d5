import type { TraceState } from '@opentelemetry/api'

/** W3C Trace Context §3.3.1.1: maximum members that may be sent on. */
const MAX_MEMBERS = 32
/**
 * Key syntax of §3.3.1.3.1. A leading digit is allowed, as in level 2. An `@` separates tenant and system, as in level
 * 1 and the public test suite: at most 241 characters before it and 14 after it.
 */
const KEY = /^(?:[a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/
/** Value syntax of §3.3.1.3.2: printable, without `,` and `=`, and without a trailing space. */
const VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/**
 * The `tracestate` field: entries that tracing systems on the path wrote for themselves. It is valid as a whole or not
 * at all (§3.3.1.1), so that no system gets a part of another's entries. It is forwarded unchanged, so it is parsed
 * into members only when needed.
 */
export class W3CTraceState implements TraceState {
  readonly #text: string
  #members: ReadonlyMap<string, string> | undefined

  private constructor(text: string, members?: ReadonlyMap<string, string>) {
    this.#text = text
    this.#members = members
  }

  /** @returns undefined if the field is absent or must not be sent on */
  static parse(text: string): W3CTraceState | undefined {
    const members = parseMembers(text)
    return members === undefined || members.size === 0 ? undefined : new W3CTraceState(serialize(members), members)
  }

  get(key: string): string | undefined {
    return this.#all.get(key)
  }

  /**
   * Puts the member first, where the newest belongs (§3.5). An invalid one changes nothing; the oldest is dropped if
   * there is no room.
   */
  set(key: string, value: string): W3CTraceState {
    if (!KEY.test(key) || !VALUE.test(value)) return this
    const others = [...this.#all].filter(([name]) => name !== key).slice(0, MAX_MEMBERS - 1)
    const members = new Map([[key, value], ...others])
    return new W3CTraceState(serialize(members), members)
  }

  unset(key: string): W3CTraceState {
    const members = new Map([...this.#all].filter(([name]) => name !== key))
    return new W3CTraceState(serialize(members), members)
  }

  serialize(): string {
    return this.#text
  }

  get #all(): ReadonlyMap<string, string> {
    return (this.#members ??= parseMembers(this.#text) ?? new Map<string, string>())
  }
}

function parseMembers(text: string): ReadonlyMap<string, string> | undefined {
  const members = new Map<string, string>()
  for (const entry of text.split(',')) {
    const member = withoutBlanks(entry)
    // Empty members are allowed: they arise when fields are joined.
    if (member === '') continue
    const separator = member.indexOf('=')
    const key = member.slice(0, separator)
    const value = member.slice(separator + 1)
    if (separator === -1 || members.has(key) || !KEY.test(key) || !VALUE.test(value)) return undefined
    members.set(key, value)
    if (members.size > MAX_MEMBERS) return undefined
  }
  return members
}

/** Removes spaces and tabs only (RFC 9110 §5.6.3): HTTP has no other whitespace. */
function withoutBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

function serialize(members: ReadonlyMap<string, string>): string {
  let text = ''
  for (const [key, value] of members) text += `${text === '' ? '' : ','}${key}=${value}`
  return text
}
