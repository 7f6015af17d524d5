/**
 * What is really exposed, by who exposes it: read from live scrapes, not from documentation. A rule or panel that asks for
 * another name would be silent for ever, so a new name is entered here only after it was seen.
 */

/** The gateway's own, seen on its ops port; a histogram `x` stands for `x_bucket`, `x_count` and `x_sum`. */
const GATEWAY = {
  histograms: [
    'db_client_operation_duration_seconds',
    'http_client_request_duration_seconds',
    'http_server_request_duration_seconds',
    'v8js_gc_duration_seconds',
  ],
  others: [
    'gateway_auth_key_fetches_total',
    'gateway_config_info',
    'gateway_config_last_reload_success_timestamp_seconds',
    'gateway_config_last_reload_successful',
    'gateway_config_reloads_total',
    'gateway_ops_info',
    'gateway_rate_limiting_degraded',
    'gateway_rate_limiting_requests_total',
    'gateway_requests_total',
    'gateway_split_weight',
    'gateway_telemetry_instrumented',
    'gateway_tls_certificate_not_after_seconds',
    'gateway_tls_certificate_renewal_successful',
    'gateway_tls_certificate_renewals_total',
    'gateway_tls_handshake_failures_total',
    'gateway_upstream_health_checks_total',
    'gateway_upstream_panic',
    'gateway_upstream_retries_total',
    'gateway_upstream_target_active_requests',
    'gateway_upstream_target_ejections_total',
    'gateway_upstream_target_healthy',
    'gateway_telemetry_exports_total',
    'gateway_telemetry_written_bytes_total',
    'gateway_traces_recorded_size_bytes',
    // With several workers.
    'gateway_worker_listening',
    'gateway_worker_restarts_total',
    'http_server_active_requests',
    'gateway_slo_info',
    'nodejs_eventloop_delay_p50_seconds',
    'nodejs_eventloop_delay_p99_seconds',
    'nodejs_eventloop_utilization_ratio',
    // With an OTLP exporter.
    'otel_sdk_exporter_log_exported_total',
    'otel_sdk_exporter_metric_data_point_exported_total',
    'otel_sdk_exporter_span_exported_total',
    'otel_sdk_processor_log_processed_total',
    'otel_sdk_processor_span_processed_total',
    'otel_sdk_processor_span_queue_capacity',
    'otel_sdk_processor_span_queue_size',
    'process_cpu_time_seconds_total',
    'process_memory_usage_bytes',
    'process_uptime_seconds',
    'target_info',
    'v8js_memory_heap_used_bytes',
  ],
} as const

/** Of redis_exporter, seen in 1.45 and in 1.86 with Redis 7.0. */
const REDIS_EXPORTER = [
  'redis_aof_last_bgrewrite_status',
  'redis_aof_last_write_status',
  'redis_blocked_clients',
  // Of a node of a cluster.
  'redis_cluster_slots_ok',
  'redis_cluster_state',
  'redis_commands_duration_seconds_total',
  'redis_commands_processed_total',
  'redis_commands_total',
  'redis_config_maxclients',
  'redis_connected_clients',
  'redis_connected_slaves',
  'redis_evicted_keys_total',
  'redis_keyspace_hits_total',
  'redis_keyspace_misses_total',
  // Of a replica.
  'redis_master_link_up',
  'redis_mem_fragmentation_ratio',
  'redis_memory_max_bytes',
  'redis_memory_used_bytes',
  'redis_memory_used_rss_bytes',
  'redis_rdb_last_bgsave_status',
  'redis_rejected_connections_total',
  'redis_up',
  'redis_uptime_in_seconds',
] as const

/** Of Prometheus and Alertmanager about themselves, seen in 2.42 and 3.16, 0.25 and 0.35. */
const ALERT_PATH = [
  'alertmanager_config_last_reload_successful',
  'alertmanager_notifications_failed_total',
  'prometheus_config_last_reload_successful',
  'prometheus_notifications_errors_total',
  'prometheus_rule_evaluation_failures_total',
  'prometheus_tsdb_exemplar_exemplars_appended_total',
  'prometheus_tsdb_exemplar_max_exemplars',
] as const

/** Of the Collector about itself, seen in 0.161; those of failures from the first failure on. */
const COLLECTOR = [
  'otelcol_exporter_queue_capacity',
  'otelcol_exporter_queue_size',
  'otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total',
  ...['spans', 'metric_points', 'log_records'].flatMap(what => [
    `otelcol_exporter_enqueue_failed_${what}_total`,
    `otelcol_exporter_send_failed_${what}_total`,
    `otelcol_exporter_sent_${what}_total`,
    `otelcol_receiver_refused_${what}_total`,
  ]),
] as const

/** Of the incident service, seen on its own port. */
const INCIDENTS = ['incidents_alertmanager_posts_total', 'incidents_evidence_total'] as const

/** Made by Prometheus for every target and alert. */
const SYNTHETIC = ['ALERTS', 'scrape_samples_scraped', 'up'] as const

export const EMITTED_METRICS: ReadonlySet<string> = new Set<string>([
  ...GATEWAY.histograms.flatMap(name => [`${name}_bucket`, `${name}_count`, `${name}_sum`]),
  ...GATEWAY.others,
  ...REDIS_EXPORTER,
  ...ALERT_PATH,
  ...COLLECTOR,
  ...INCIDENTS,
  ...SYNTHETIC,
])
