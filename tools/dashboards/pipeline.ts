import { StackingMode } from '@grafana/grafana-foundation-sdk/common'
import { dashboard } from './dashboard'
import { lines, timeline } from './panels'
import { COLLECTOR, GATEWAY, rate } from './selectors'

const ITEMS = { spans: 'spans', 'metric points': 'metric_points', 'log records': 'log_records' } as const

/** A line for each signal. Failures are counted from the first one on, so that until then the line is 0 where the base has data. */
function bySignal(
  by: string,
  name: (items: string) => string,
  base: (items: string) => string = name,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(ITEMS).map(([signal, items]) => {
      const of = (metric: string): string => `sum by (${by}) (${rate(`${metric}{${COLLECTOR}}`)})`
      const zero = base === name ? '' : ` or 0 * ${of(base(items))}`
      return [`${signal} · {{${by}}}`, `${of(name(items))}${zero}`]
    }),
  )
}

export const PIPELINE = dashboard({
  uid: 'myesi-gateway-pipeline',
  title: 'MyESI gateway: telemetry pipeline',
  description:
    'Whether telemetry and alerts arrive: scrapes, exports of the gateway, Collector, Prometheus, Alertmanager.',
  variables: ['environment', 'instance'],
  sections: [
    [
      'Scrapes and alerts',
      [
        timeline({
          title: 'Scrape targets',
          description: 'Which processes answered their scrape. What is down is neither seen nor judged.',
          unit: 'none',
          width: 24,
          steps: ['red', [1, 'green']],
          states: { 0: ['down', 'red'], 1: ['up', 'green'] },
          legend: '{{job}} {{instance}}',
          expr: 'min by (job, instance) (up)',
        }),
        lines({
          title: 'Rules and messages that failed',
          description:
            'Failures per second: rules that Prometheus could not evaluate, alerts that it could not send to Alertmanager, messages that Alertmanager could not deliver.',
          unit: 'ops',
          width: 12,
          series: {
            'rules {{rule_group}}': `sum by (rule_group) (${rate('prometheus_rule_evaluation_failures_total{job="prometheus"}')})`,
            'to Alertmanager': `sum(${rate('prometheus_notifications_errors_total{job="prometheus"}')})`,
            'messages {{integration}}': `sum by (integration) (${rate('alertmanager_notifications_failed_total{job="alertmanager"}')})`,
          },
        }),
        lines({
          title: 'Exemplars',
          description: 'Exemplars per second that Prometheus stored. 0 with traffic: it runs without exemplar storage.',
          unit: 'ops',
          width: 12,
          series: {
            stored: `sum(${rate('prometheus_tsdb_exemplar_exemplars_appended_total{job="prometheus"}')})`,
          },
        }),
      ],
    ],
    [
      'Gateway',
      [
        lines({
          title: 'Exports',
          description: 'Batches per second that the gateway exported, by signal. With an error they were lost.',
          unit: 'ops',
          width: 8,
          series: {
            '{{gateway_telemetry_signal}} {{error_type}}': `sum by (gateway_telemetry_signal, error_type) (${rate(`gateway_telemetry_exports_total{${GATEWAY}}`)})`,
          },
        }),
        lines({
          title: 'Exported spans',
          description: 'Spans per second that the gateway exported. With an error they were lost.',
          unit: 'ops',
          width: 8,
          series: {
            '{{instance}} {{error_type}}': `sum by (instance, error_type) (${rate(`otel_sdk_exporter_span_exported_total{${GATEWAY}}`)})`,
          },
        }),
        lines({
          title: 'Queue of spans',
          description: 'How full the queue of spans is. Spans that do not fit are dropped and counted.',
          unit: 'percentunit',
          width: 8,
          max: 1,
          series: {
            '{{instance}}': `max by (instance) (otel_sdk_processor_span_queue_size{${GATEWAY}} / otel_sdk_processor_span_queue_capacity{${GATEWAY}})`,
          },
        }),
      ],
    ],
    [
      'Own overhead',
      [
        lines({
          title: 'Bytes per request',
          description: 'Bytes of OTLP that each signal writes for a request, before compression.',
          unit: 'bytes',
          width: 8,
          stacked: StackingMode.Normal,
          series: {
            '{{gateway_telemetry_signal}}': `sum by (gateway_telemetry_signal) (${rate(`gateway_telemetry_written_bytes_total{${GATEWAY}}`)}) / ignoring (gateway_telemetry_signal) group_left () sum(${rate(`gateway_requests_total{${GATEWAY}}`)})`,
          },
        }),
        lines({
          title: 'Memory of kept traces',
          description: 'Estimated memory of the traces in the recorder of each replica, at most 32 MiB.',
          unit: 'bytes',
          width: 8,
          series: { '{{instance}}': `gateway_traces_recorded_size_bytes{${GATEWAY}}` },
        }),
        lines({
          title: 'Series',
          description: 'Samples of each scrape of a gateway: the series that Prometheus keeps for it.',
          unit: 'short',
          width: 8,
          series: { '{{instance}}': `scrape_samples_scraped{${GATEWAY}}` },
        }),
      ],
    ],
    [
      'Collector',
      [
        lines({
          title: 'Sent',
          description: 'Items per second that the Collector sent, by signal and exporter.',
          unit: 'ops',
          width: 8,
          series: bySignal('exporter', items => `otelcol_exporter_sent_${items}_total`),
        }),
        lines({
          title: 'Lost',
          description:
            'Items per second that an exporter lost: refused by the backend, or after half an hour of retries.',
          unit: 'ops',
          width: 8,
          series: bySignal(
            'exporter',
            items => `otelcol_exporter_send_failed_${items}_total`,
            items => `otelcol_exporter_sent_${items}_total`,
          ),
        }),
        lines({
          title: 'Refused',
          description: 'Items per second that the Collector refused because its memory was full. Senders try again.',
          unit: 'ops',
          width: 8,
          series: bySignal('receiver', items => `otelcol_receiver_refused_${items}_total`),
        }),
        lines({
          title: 'Queues',
          description: 'How full the queue of each exporter is. What does not fit is lost.',
          unit: 'percentunit',
          width: 12,
          max: 1,
          series: {
            '{{exporter}} {{data_type}}': `max by (exporter, data_type) (otelcol_exporter_queue_size{${COLLECTOR}} / otelcol_exporter_queue_capacity{${COLLECTOR}})`,
          },
        }),
        lines({
          title: 'Traces dropped before the decision',
          description: 'Traces per second for which tail sampling had no room. Raise TAIL_NUM_TRACES.',
          unit: 'ops',
          width: 12,
          series: {
            dropped: `sum(${rate(`otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total{${COLLECTOR}}`)})`,
          },
        }),
      ],
    ],
  ],
})
