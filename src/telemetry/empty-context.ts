import { ROOT_CONTEXT, type Context } from '@opentelemetry/api'

/**
 * A root context whose derived contexts store a single value without a table. The API's own context copies and searches
 * a table several times per request, only to find the one span that nearly every context holds.
 */
export const EMPTY_CONTEXT: Context = {
  getValue: () => undefined,
  setValue: (key, value) => new ContextOfOne(key, value),
  deleteValue: () => EMPTY_CONTEXT,
}

class ContextOfOne implements Context {
  readonly #key: symbol
  readonly #value: unknown

  constructor(key: symbol, value: unknown) {
    this.#key = key
    this.#value = value
  }

  getValue(key: symbol): unknown {
    return key === this.#key ? this.#value : undefined
  }

  setValue(key: symbol, value: unknown): Context {
    return key === this.#key
      ? new ContextOfOne(key, value)
      : ROOT_CONTEXT.setValue(this.#key, this.#value).setValue(key, value)
  }

  deleteValue(key: symbol): Context {
    return key === this.#key ? EMPTY_CONTEXT : this
  }
}
