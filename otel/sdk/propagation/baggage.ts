import {
  propagation,
  type Context,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
} from '@opentelemetry/api'
import { W3CBaggagePropagator } from '@opentelemetry/core'

/**
 * Minimum number of members that every platform must propagate (W3C Baggage §3.3.2); larger baggage is not propagated.
 */
const MAX_MEMBERS = 64
/** Maximum length of the whole field, from the same section. */
const MAX_CHARACTERS = 8_192

/** W3C Baggage with a list of allowed keys: data that a caller sends about itself may be private from the upstreams. */
export class BaggagePropagator implements TextMapPropagator {
  readonly #w3c = new W3CBaggagePropagator()
  readonly #mayPass: (key: string) => boolean

  /** @param keys to propagate, with a trailing `*` for a prefix; undefined for all */
  constructor(keys: readonly string[] | undefined) {
    const whole = new Set(keys?.filter(key => !key.endsWith('*')))
    const beginnings = (keys ?? ['*']).filter(key => key.endsWith('*')).map(key => key.slice(0, -1))
    this.#mayPass = key => whole.has(key) || beginnings.some(beginning => key.startsWith(beginning))
  }

  inject(context: Context, carrier: unknown, setter: TextMapSetter): void {
    this.#w3c.inject(context, carrier, setter)
  }

  extract(context: Context, carrier: unknown, getter: TextMapGetter): Context {
    const extracted = this.#w3c.extract(context, carrier, getter)
    const baggage = propagation.getBaggage(extracted)
    if (baggage === undefined || extracted === context) return extracted
    const kept: ReturnType<typeof baggage.getAllEntries> = []
    let characters = 0
    for (const [key, entry] of baggage.getAllEntries()) {
      if (!this.#mayPass(key)) continue
      characters += key.length + entry.value.length + 2
      if (kept.length === MAX_MEMBERS || characters > MAX_CHARACTERS) break
      kept.push([key, entry])
    }
    return kept.length === 0
      ? context
      : propagation.setBaggage(extracted, propagation.createBaggage(Object.fromEntries(kept)))
  }

  fields(): string[] {
    return this.#w3c.fields()
  }
}
