import type { Attributes } from '@opentelemetry/api'
import { labelName } from './names'

/** Name and value. */
export type Label = readonly [name: string, value: string]

/** Labels as `a="1",b="2"`, sorted by name; empty if there are no attributes. */
export function labelPairs(attributes: Attributes): string {
  return labelEntries(attributes)
    .map(([name, value]) => `${name}="${escapeQuoted(value)}"`)
    .join(',')
}

/** Labels sorted by name. */
export function labelEntries(attributes: Attributes): Label[] {
  const values = new Map<string, string>()
  for (const key of Object.keys(attributes).sort()) {
    const value = attributes[key]
    if (value === undefined || value === null) continue
    const name = labelName(key)
    const earlier = values.get(name)
    // Two attributes can map to one label; the specification joins their values in the order of their own names.
    values.set(name, earlier === undefined ? valueText(value) : `${earlier};${valueText(value)}`)
  }
  return [...values.entries()].sort(([a], [b]) => (a < b ? -1 : 1))
}

/**
 * Caches the label text of each series. The SDK keeps one attributes object per series for as long as the series lives,
 * so the entry is removed with the object, and the SDK's limit on series bounds the cache.
 */
export class LabelCache {
  readonly #pairs = new WeakMap<Attributes, string>()

  pairs(attributes: Attributes): string {
    let pairs = this.#pairs.get(attributes)
    if (pairs === undefined) {
      pairs = labelPairs(attributes)
      this.#pairs.set(attributes, pairs)
    }
    return pairs
  }
}

function valueText(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  // Undefined for values that JSON cannot express, such as a function.
  return JSON.stringify(value) ?? ''
}

/** Escapes label values in both formats, and HELP in OpenMetrics. */
export function escapeQuoted(text: string): string {
  return /[\\"\n]/.test(text) ? text.replace(/[\\"\n]/g, escape) : text
}

/** Escapes HELP in the text format, where a quotation mark needs no escape. */
export function escapeHelp(text: string): string {
  return /[\\\n]/.test(text) ? text.replace(/[\\\n]/g, escape) : text
}

function escape(character: string): string {
  return character === '\n' ? '\\n' : `\\${character}`
}
