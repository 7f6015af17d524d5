import type { Attributes, Meter } from '@opentelemetry/api'
import type { Exchange, StreamKind } from '../exchange/exchange'
import * as semconv from '../telemetry/semconv'

interface Series {
  readonly attributes: Attributes
  count: number
}

/**
 * How many streams are open, by kind and route: at the most two series for each route that there is or ever was. Like those
 * of any metric they stay when a reload takes the route away; with 0, where they would otherwise end at what they last said.
 */
export class ActiveStreams {
  readonly #series = new Map<string, Series>()

  constructor(meter: Meter) {
    meter
      .createObservableUpDownCounter(semconv.METRIC_STREAM_ACTIVE, {
        unit: '{stream}',
        description: 'Event streams and WebSockets that are open',
      })
      .addCallback(result => {
        for (const { attributes, count } of this.#series.values()) result.observe(count, attributes)
      })
  }

  began(exchange: Exchange): void {
    this.#seriesOf(exchange).count++
  }

  ended(exchange: Exchange): void {
    this.#seriesOf(exchange).count--
  }

  #seriesOf({ stream, route }: Exchange): Series {
    const key = `${stream} ${route?.template}`
    let series = this.#series.get(key)
    if (!series) {
      const attributes = {
        [semconv.ATTR_STREAM]: stream as StreamKind,
        ...(route && { [semconv.ATTR_HTTP_ROUTE]: route.template }),
      }
      this.#series.set(key, (series = { attributes, count: 0 }))
    }
    return series
  }
}
