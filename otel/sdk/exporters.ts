import {
  BatchLogRecordProcessor,
  ConsoleLogRecordExporter,
  SimpleLogRecordProcessor,
  type LogRecordExporter,
  type LogRecordProcessor,
} from '@opentelemetry/sdk-logs'
import { ConsoleMetricExporter, MeterProvider, type MetricReader } from '@opentelemetry/sdk-metrics'
import {
  BatchSpanProcessor,
  ConsoleSpanExporter,
  SimpleSpanProcessor,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace'
import { rememberHashes } from './attribute-hashes'
import { matcher } from './wildcards'
import type { ExemplarSource } from './exemplars'
import { ExponentialReader } from './exposition/native-histograms'
import { PrometheusExposition } from './exposition/exporter'
import { LogAttributes } from './log-attributes'
import { PushingReader } from './observed-gauges'
import { load } from './load'
import type * as MetricExporters from './otlp/metric-exporters'
import type * as SpanAndLogExporters from './otlp/span-and-log-exporters'
import type { OwnMetrics } from './otlp/span-and-log-exporters'
import { Pipeline, type Signal } from './pipelines'
import type { ConsolePlan, OtlpPlan, ProcessorPlan, TelemetryPlan } from './plan'

/**
 * Creates the exporters of each signal. Every queue is bounded: by default 2048 spans and 2048 log records. Dropped and
 * failed data is counted in the SDK's own metrics, `otel.sdk.processor.*` and `otel.sdk.exporter.*`, which the alerts
 * use.
 */

/** @returns no provider when there are no exporters: instruments then cost nothing */
export function createMeterProvider(
  { readers: plans, resource, views }: TelemetryPlan,
  exemplars: ExemplarSource,
  pipelines: Pipeline[],
  hasNativeHistograms = false,
): { readonly meterProvider: MeterProvider | undefined; readonly readers: readonly MetricReader[] } {
  const ownMetrics: ((meterProvider: MeterProvider) => void)[] = []
  const exponential = hasNativeHistograms ? new ExponentialReader() : undefined
  const readers = plans.map(plan => {
    if (!('intervalMs' in plan)) return new PrometheusExposition(beside(views, exemplars), undefined, exponential)
    const { exporter: way, intervalMs, timeoutMs, cardinalityLimits } = plan
    const pipeline = pipelineOf('metrics', way, pipelines)
    const options = {
      exportIntervalMillis: intervalMs,
      exportTimeoutMillis: timeoutMs,
      ...(cardinalityLimits && { cardinalityLimits }),
    }
    if (way.name === 'console')
      return new PushingReader({ ...options, exporter: pipeline.watch(new ConsoleMetricExporter()) })
    const { createMetricExporter } = load<typeof MetricExporters>('./otlp/metric-exporters')
    const exporter = createMetricExporter(way, exemplars, pipeline.countBytes)
    ownMetrics.push(meterProvider => exporter.setSelfObsMeterProvider(meterProvider))
    return new PushingReader({ ...options, exporter: pipeline.watch(exporter) })
  })
  if (readers.length === 0) return { meterProvider: undefined, readers }
  rememberHashes()
  const isExposed = readers.some(reader => reader instanceof PrometheusExposition)
  const all = exponential !== undefined && isExposed ? [...readers, exponential] : readers
  const meterProvider = new MeterProvider({ resource, readers: all, views: [...views] })
  for (const observe of ownMetrics) observe(meterProvider)
  return { meterProvider, readers }
}

/** A view that aggregates in another way has other buckets than those for which exemplars are recorded. */
function beside(views: TelemetryPlan['views'], exemplars: ExemplarSource): ExemplarSource {
  const names = views.filter(({ aggregation }) => aggregation !== undefined).map(view => view.instrumentName ?? '*')
  const isChanged = matcher(names)
  if (names.length === 0 || isChanged === undefined) return exemplars
  return {
    exemplar: (instrument, attributes, bucket) =>
      isChanged(instrument) ? undefined : exemplars.exemplar(instrument, attributes, bucket),
    // Without buckets they are right beside every aggregation.
    exemplars: (instrument, attributes) => exemplars.exemplars(instrument, attributes),
  }
}

/** Processors that export kept spans. There may be none; the recorder still has the spans. */
export function createSpanExports(
  plans: readonly ProcessorPlan[],
  ownMetrics: OwnMetrics,
  pipelines: Pipeline[],
): SpanProcessor[] {
  return plans.map(({ exporter: way, batches }) => {
    const pipeline = pipelineOf('traces', way, pipelines)
    const exporter = pipeline.watch<SpanExporter>(
      way.name === 'otlp'
        ? spansAndLogs().createSpanExporter(way, ownMetrics, pipeline.countBytes)
        : new ConsoleSpanExporter(),
    )
    return batches === undefined
      ? new SimpleSpanProcessor({ exporter })
      : new BatchSpanProcessor({ ...ownMetrics, ...batches, exporter })
  })
}

export function createLogRecordProcessors(
  plans: readonly ProcessorPlan[],
  ownMetrics: OwnMetrics,
  pipelines: Pipeline[],
): LogRecordProcessor[] {
  const exports: LogRecordProcessor[] = plans.map(({ exporter: way, batches }) => {
    const pipeline = pipelineOf('logs', way, pipelines)
    const exporter = pipeline.watch<LogRecordExporter>(
      way.name === 'otlp'
        ? spansAndLogs().createLogExporter(way, ownMetrics, pipeline.countBytes)
        : new ConsoleLogRecordExporter(),
    )
    return batches === undefined
      ? new SimpleLogRecordProcessor({ exporter })
      : new BatchLogRecordProcessor({ ...ownMetrics, ...batches, exporter })
  })
  // LogAttributes comes first, so that the exporters get records with all attributes.
  return exports.length === 0 ? [] : [new LogAttributes(), ...exports]
}

function pipelineOf(signal: Signal, way: ConsolePlan | OtlpPlan, pipelines: Pipeline[]): Pipeline {
  const pipeline = new Pipeline(signal, way.name, way.name === 'otlp' ? way.receiver : '')
  pipelines.push(pipeline)
  return pipeline
}

const spansAndLogs = (): typeof SpanAndLogExporters => load('./otlp/span-and-log-exporters')
