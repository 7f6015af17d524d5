import type { Attributes, Meter } from '@opentelemetry/api'
import type { Exchange, StreamKind } from '../exchange/exchange'
import * as semconv from '../telemetry/semconv'

interface Series {
  readonly attributes: Attributes
  count: number
}

/**
 * Counts open streams by kind and route: at most two series for each present or former route. The series of a removed route
 * stay, as for every metric, and report 0 instead of their last value.
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
