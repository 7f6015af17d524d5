import { accessSync, constants } from 'node:fs'
import { nearest } from '../nearest'
import type { ConfigDocument, Path } from './document'

/** A map of the file, read key by key. Keys that nothing has asked for are problems at the end. */
export class Section {
  readonly #document: ConfigDocument
  readonly #path: Path
  readonly #map: Readonly<Record<string, unknown>>
  readonly #asked = new Set<string>()

  constructor(document: ConfigDocument, path: Path, value: unknown) {
    this.#document = document
    this.#path = path
    this.#map = typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
    if (value !== null && value !== undefined && (typeof value !== 'object' || Array.isArray(value)))
      this.complain([], `${describe(value)} is not a map`, 'a map of keys and values')
  }

  get keys(): readonly string[] {
    return Object.keys(this.#map)
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#map, key)
  }

  complain(below: Path, problem: string, allowed?: string, near?: string): void {
    this.#document.complain([...this.#path, ...below], {
      problem,
      ...(allowed !== undefined && { allowed }),
      ...(near !== undefined && { nearest: near }),
    })
  }

  /** A map that may be left out or empty; undefined if the key is not there. */
  section(key: string): Section | undefined {
    this.#asked.add(key)
    return this.has(key) ? new Section(this.#document, [...this.#path, key], this.#map[key]) : undefined
  }

  /** Maps of a list; none if it is left out. */
  sections(key: string): readonly Section[] {
    return this.#list(key).map((value, index) => new Section(this.#document, [...this.#path, key, index], value))
  }

  texts(key: string): readonly string[] | undefined {
    const list = this.#list(key)
    for (const [index, value] of list.entries())
      if (typeof value !== 'string') this.complain([key, index], `${describe(value)} is not text`)
    return this.has(key) ? list.filter(value => typeof value === 'string') : undefined
  }

  numbers(key: string): readonly number[] | undefined {
    const list = this.#list(key)
    for (const [index, value] of list.entries())
      if (typeof value !== 'number') this.complain([key, index], `${describe(value)} is not a number`)
    return this.has(key) ? list.filter(value => typeof value === 'number') : undefined
  }

  text(key: string): string | undefined {
    const value = this.#value(key)
    if (value === undefined || typeof value === 'string') return value
    this.complain([key], `${describe(value)} is not text`)
    return undefined
  }

  /** Any scalar or list of scalars, as attributes are. */
  attribute(key: string): string | number | boolean | (string | number | boolean)[] | undefined {
    const value = this.#value(key)
    const isAttribute = (one: unknown): one is string | number | boolean =>
      typeof one === 'string' || typeof one === 'number' || typeof one === 'boolean'
    if (value === undefined || isAttribute(value)) return value
    if (Array.isArray(value) && value.every(isAttribute)) return value
    this.complain(
      [key],
      `${describe(value)} is no value of an attribute`,
      'text, a number, true, false, or a list of one',
    )
    return undefined
  }

  boolean(key: string): boolean | undefined {
    const value = this.#value(key)
    if (value === undefined || typeof value === 'boolean') return value
    this.complain([key], `${describe(value)} is neither true nor false`, 'true, false')
    return undefined
  }

  number(key: string, range: { min: number; max?: number; whole?: boolean }): number | undefined {
    const value = this.#value(key)
    if (value === undefined) return undefined
    const { min, max = Number.MAX_SAFE_INTEGER, whole = true } = range
    if (typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value))) return value
    const allowed = range.max === undefined ? `${min} or more` : `${min} to ${max}`
    this.complain([key], `${describe(value)} is not ${whole ? 'a whole number' : 'a number'} in its range`, allowed)
    return undefined
  }

  oneOf<Name extends string>(key: string, allowed: readonly Name[]): Name | undefined {
    const value = this.#value(key)
    const found = allowed.find(name => name === value)
    if (value === undefined || found !== undefined) return found
    const near = typeof value === 'string' ? nearest(value, allowed) : undefined
    this.complain([key], `${describe(value)} is not known`, allowed.join(', '), near)
    return undefined
  }

  /** A file that can be read now; otherwise each export would fail with an error that does not name it. */
  file(key: string): string | undefined {
    const path = this.text(key)
    if (path === undefined) return undefined
    try {
      accessSync(path, constants.R_OK)
      return path
    } catch {
      this.complain([key], `the file "${path}" cannot be read`)
      return undefined
    }
  }

  /** The one key of a map that names a kind of thing, such as an exporter, with the settings below it. */
  variant(
    allowed: readonly string[],
    refused: Readonly<Record<string, string>> = {},
  ): { readonly name: string; readonly section: Section } | undefined {
    const { keys } = this
    const [name] = keys
    if (name === undefined || keys.length > 1) {
      const found = name === undefined ? 'it names none' : `it names ${keys.length}: ${keys.join(', ')}`
      this.complain([], `exactly one is allowed here, and ${found}`, allowed.join(', '))
      return undefined
    }
    const section = this.section(name)
    if (allowed.includes(name) && section !== undefined) return { name, section }
    const reason = refused[name]
    if (reason !== undefined) this.complain([name], `"${name}" is not supported: ${reason}`, allowed.join(', '))
    else this.complain([name], `"${name}" is not known`, allowed.join(', '), nearest(name, allowed))
    return undefined
  }

  /** Complains of a key that is in the schema and has no effect here. */
  refuse(key: string, reason: string): void {
    this.#asked.add(key)
    if (this.has(key)) this.complain([key], `"${key}" is not supported: ${reason}`)
  }

  /** Accepts a key that says something to others, or that has no effect on purpose. */
  accept(key: string): unknown {
    this.#asked.add(key)
    return this.#map[key]
  }

  /** Must be called when every key was read: the rest are problems. */
  done(): void {
    const known = [...this.#asked]
    for (const key of this.keys) {
      if (this.#asked.has(key)) continue
      this.complain([key], `"${key}" is not a key here`, known.toSorted().join(', ') || 'no keys', nearest(key, known))
    }
  }

  #value(key: string): unknown {
    this.#asked.add(key)
    return this.#map[key] ?? undefined
  }

  #list(key: string): readonly unknown[] {
    const value = this.#value(key)
    if (value === undefined || Array.isArray(value)) return value ?? []
    this.complain([key], `${describe(value)} is not a list`)
    return []
  }
}

function describe(value: unknown): string {
  if (typeof value === 'string') return value.length > 60 ? `"${value.slice(0, 60)}…"` : `"${value}"`
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' && value !== null ? 'a map' : String(value)
}
