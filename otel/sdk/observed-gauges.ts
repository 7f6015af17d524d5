import { AggregationTemporality, InstrumentType, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'

/**
 * An observable gauge tells what is there when it is asked. Of series that it no longer tells, such as those of an upstream
 * that left the configuration, the SDK goes on repeating the last value for ever, unless it takes the gauge for a delta;
 * for the value itself that makes no difference.
 */
export function temporalityOf(type: InstrumentType, ofOthers: AggregationTemporality): AggregationTemporality {
  return type === InstrumentType.OBSERVABLE_GAUGE ? AggregationTemporality.DELTA : ofOthers
}

/** The same for what is pushed. */
export class PushingReader extends PeriodicExportingMetricReader {
  override selectAggregationTemporality(type: InstrumentType): AggregationTemporality {
    return temporalityOf(type, super.selectAggregationTemporality(type))
  }
}
