import { AggregationTemporality, InstrumentType, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'

/**
 * Uses delta temporality for observable gauges. With cumulative temporality the SDK repeats the last value of a series
 * for ever after it is no longer observed, for example that of a removed upstream. The value of a gauge is the same
 * either way.
 */
export function temporalityOf(type: InstrumentType, ofOthers: AggregationTemporality): AggregationTemporality {
  return type === InstrumentType.OBSERVABLE_GAUGE ? AggregationTemporality.DELTA : ofOthers
}

/** The same temporality for metrics that are pushed. */
export class PushingReader extends PeriodicExportingMetricReader {
  override selectAggregationTemporality(type: InstrumentType): AggregationTemporality {
    return temporalityOf(type, super.selectAggregationTemporality(type))
  }
}
