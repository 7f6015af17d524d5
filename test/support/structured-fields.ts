/** A bare item of RFC 9651, as far as a test needs it. */
export type BareItem =
  | { readonly type: 'string' | 'token'; readonly value: string }
  | { readonly type: 'integer' | 'decimal'; readonly value: number }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'bytes'; readonly value: Buffer }

export interface Item {
  readonly item: BareItem
  readonly parameters: ReadonlyMap<string, BareItem>
}

/**
 * A field as a list of items (RFC 9651 §4.2.1), its lines joined by commas as RFC 9110 §5.3 has it. Inner lists, dates and
 * display strings are not known here.
 *
 * @throws SyntaxError wherever the algorithms of the RFC say that parsing fails
 */
export function parseList(lines: readonly string[]): Item[] {
  const input = new Input(lines.join(', '))
  input.skip(' ')
  const items: Item[] = []
  while (!input.isEmpty) {
    items.push(parseItem(input))
    input.skip(' \t')
    if (input.isEmpty) return items
    if (input.take() !== ',') throw input.failure('a comma')
    input.skip(' \t')
    if (input.isEmpty) throw input.failure('an item after the comma')
  }
  return items
}

/** What is not parsed yet. */
class Input {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  get isEmpty(): boolean {
    return this.#at >= this.#text.length
  }

  get next(): string {
    return this.#text[this.#at] ?? ''
  }

  take(): string {
    return this.#text[this.#at++] ?? ''
  }

  takeIf(character: string): boolean {
    if (this.next !== character) return false
    this.#at++
    return true
  }

  skip(characters: string): void {
    while (!this.isEmpty && characters.includes(this.next)) this.#at++
  }

  /** The longest beginning of what is left that matches. */
  match(pattern: RegExp): string {
    const sticky = new RegExp(pattern, 'y')
    sticky.lastIndex = this.#at
    const found = sticky.exec(this.#text)?.[0] ?? ''
    this.#at += found.length
    return found
  }

  failure(expected: string): SyntaxError {
    return new SyntaxError(`expected ${expected} at ${this.#at} of ${JSON.stringify(this.#text)}`)
  }
}

function parseItem(input: Input): Item {
  const item = parseBareItem(input)
  const parameters = new Map<string, BareItem>()
  while (input.takeIf(';')) {
    input.skip(' ')
    const key = input.match(/[a-z*][a-z0-9_.*-]*/)
    if (key === '') throw input.failure('a key')
    let value: BareItem = { type: 'boolean', value: true }
    if (input.takeIf('=')) value = parseBareItem(input)
    parameters.set(key, value)
  }
  return { item, parameters }
}

function parseBareItem(input: Input): BareItem {
  const { next } = input
  if (/[-0-9]/.test(next)) return parseNumber(input)
  if (next === '"') return parseString(input)
  if (next === '?') return parseBoolean(input)
  if (next === ':') return parseBytes(input)
  const token = input.match(/[A-Za-z*][A-Za-z0-9:/!#$%&'*+.^_`|~-]*/)
  if (token === '') throw input.failure('an item')
  return { type: 'token', value: token }
}

function parseNumber(input: Input): BareItem {
  const text = input.match(/-?\d+(?:\.\d*)?/)
  const [, whole = '', fraction] = /^-?(\d+)(?:\.(\d*))?$/.exec(text) ?? []
  if (whole === '' || whole.length > (fraction === undefined ? 15 : 12)) throw input.failure('a number')
  if (fraction === undefined) return { type: 'integer', value: Number(text) }
  if (fraction === '' || fraction.length > 3) throw input.failure('one to three digits of a fraction')
  return { type: 'decimal', value: Number(text) }
}

function parseString(input: Input): BareItem {
  input.take()
  let value = ''
  for (;;) {
    if (input.isEmpty) throw input.failure('the end of a string')
    const character = input.take()
    if (character === '"') return { type: 'string', value }
    if (!/[\x20-\x7e]/.test(character)) throw input.failure('a printable ASCII character')
    if (character !== '\\') value += character
    else if (input.next === '"' || input.next === '\\') value += input.take()
    else throw input.failure('an escaped quote or backslash')
  }
}

function parseBoolean(input: Input): BareItem {
  const text = input.match(/\?[01]/)
  if (text === '') throw input.failure('?0 or ?1')
  return { type: 'boolean', value: text === '?1' }
}

function parseBytes(input: Input): BareItem {
  const text = input.match(/:[A-Za-z0-9+/=]*:/)
  if (text === '') throw input.failure('bytes in Base64')
  return { type: 'bytes', value: Buffer.from(text.slice(1, -1), 'base64') }
}
