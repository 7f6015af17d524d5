import { AggregationType, InstrumentType } from '@opentelemetry/sdk-metrics'
import type { OtlpOptions, OtlpPlan, ProcessorPlan, TelemetryPlan } from './plan'
import { createPropagator } from './propagation/propagators'
import { createResource } from './resource'
import { headSampler } from './sampling/sampler'
import type { BatchSettings, PushExporter, TelemetrySettings } from './settings'
import { spanLimits } from './spans/span-limits'

type Variables = Readonly<Record<string, string | undefined>>

/** The plan that the variables of the environment make. The exporters read their `OTEL_EXPORTER_OTLP_*` themselves. */
export function planOfSettings(settings: TelemetrySettings, variables: Variables): TelemetryPlan {
  const { exporters, metricExport, spanBatches, logBatches } = settings
  return {
    resource: createResource(settings.resourceDetectors),
    sampler: headSampler(settings.sampler),
    propagator: createPropagator(settings.propagators, settings.baggageKeys),
    spanLimits: spanLimits(variables),
    views: [],
    hasExemplars: settings.hasExemplars,
    readers: exporters.metrics.map(name =>
      name === 'prometheus'
        ? { exporter: { name } }
        : {
            exporter: name === 'console' ? { name } : otlp('metrics', settings, histogramsOf(settings)),
            ...metricExport,
          },
    ),
    spans: exporters.traces.map(name => processor('traces', name, settings, spanBatches)),
    logs: exporters.logs.map(name => processor('logs', name, settings, logBatches)),
  }
}

function processor(
  signal: 'traces' | 'logs',
  name: PushExporter,
  settings: TelemetrySettings,
  batches: BatchSettings,
): ProcessorPlan {
  return name === 'console' ? { exporter: { name }, batches: undefined } : { exporter: otlp(signal, settings), batches }
}

function otlp(signal: 'traces' | 'metrics' | 'logs', settings: TelemetrySettings, options: OtlpOptions = {}): OtlpPlan {
  return { name: 'otlp', protocol: settings.protocols[signal], receiver: settings.receivers[signal], options }
}

/**
 * Set at the exporter, not by a view: a view would also change `/metrics`, whose text cannot show exponential
 * histograms.
 */
export function histogramsOf({ histograms }: Pick<TelemetrySettings, 'histograms'>): OtlpOptions {
  const areExponential = histograms === 'base2_exponential_bucket_histogram'
  return {
    aggregationPreference: type =>
      areExponential && type === InstrumentType.HISTOGRAM
        ? { type: AggregationType.EXPONENTIAL_HISTOGRAM }
        : { type: AggregationType.DEFAULT },
  }
}
