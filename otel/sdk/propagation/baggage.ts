import {
  propagation,
  type Context,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
} from '@opentelemetry/api'
import { W3CBaggagePropagator } from '@opentelemetry/core'

/** What every platform has to pass on (W3C Baggage §3.3.2); who needs more sends something else. */
const MAX_MEMBERS = 64
/** The whole field, by the same paragraph. */
const MAX_CHARACTERS = 8_192

/** W3C Baggage, of which only some keys go on: what a caller says about itself may be nobody's business behind the gateway. */
export class BaggagePropagator implements TextMapPropagator {
  readonly #w3c = new W3CBaggagePropagator()
  readonly #mayPass: (key: string) => boolean

  /** @param keys that go on, `*` at the end for all that begin so; undefined for all */
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
