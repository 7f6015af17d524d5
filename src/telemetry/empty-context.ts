import { ROOT_CONTEXT, type Context } from '@opentelemetry/api'

/**
 * As the root context, but what is made of it with one value holds that value and nothing else. The API's own holds a table,
 * which is made and searched several times in each request to find the one span that nearly every context has.
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
