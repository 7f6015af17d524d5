import type { Attributes } from '@opentelemetry/api'
import { labelName } from './names'

/** `a="1",b="2"`, sorted by name; empty for no attributes. */
export function labelPairs(attributes: Attributes): string {
  const values = new Map<string, string>()
  for (const key of Object.keys(attributes).sort()) {
    const value = attributes[key]
    if (value === undefined || value === null) continue
    const name = labelName(key)
    const earlier = values.get(name)
    // Two attributes may become one label; the specification joins their values in the order of their own names.
    values.set(name, earlier === undefined ? valueText(value) : `${earlier};${valueText(value)}`)
  }
  return [...values.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}="${escapeQuoted(value)}"`)
    .join(',')
}

/**
 * The SDK keeps one attributes object per series for as long as the series lives, so that its labels need be written only
 * once. Bounded by the SDK's own bound on series: the entry goes when the object goes.
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
  // Undefined for what JSON has no form for, such as a function.
  return JSON.stringify(value) ?? ''
}

/** Label values in both formats, and HELP in OpenMetrics. */
export function escapeQuoted(text: string): string {
  return /[\\"\n]/.test(text) ? text.replace(/[\\"\n]/g, escape) : text
}

/** HELP in the text format, where a quotation mark stands for itself. */
export function escapeHelp(text: string): string {
  return /[\\\n]/.test(text) ? text.replace(/[\\\n]/g, escape) : text
}

function escape(character: string): string {
  return character === '\n' ? '\\n' : `\\${character}`
}
