import type { IncidentSettings, Settings } from './types'

/** The variables of each setting; of several, the first that is set applies. */
export const VARIABLES = {
  port: ['PORT'],
  host: ['HOST'],
  opsPort: ['OPS_PORT', 'OTEL_EXPORTER_PROMETHEUS_PORT'],
  opsHost: ['OPS_HOST', 'OTEL_EXPORTER_PROMETHEUS_HOST'],
  opsPublicUrl: ['OPS_PUBLIC_URL'],
  incidentsUrl: ['INCIDENT_PUBLIC_URL'],
  opsToken: ['OPS_TOKEN'],
  opsAllowedHosts: ['OPS_ALLOWED_HOSTS'],
  redisUrl: ['REDIS_URL'],
  redisSentinelUsername: ['REDIS_SENTINEL_USERNAME'],
  redisSentinelPassword: ['REDIS_SENTINEL_PASSWORD'],
  redisTlsCaFile: ['REDIS_TLS_CA_FILE'],
  redisTlsCertFile: ['REDIS_TLS_CERT_FILE'],
  redisTlsKeyFile: ['REDIS_TLS_KEY_FILE'],
  redisTimeoutMs: ['REDIS_TIMEOUT_MS'],
  replicas: ['REPLICAS'],
  workers: ['WORKERS'],
  configFile: ['GATEWAY_CONFIG'],
  configWatch: ['GATEWAY_CONFIG_WATCH'],
  logLevel: ['LOG_LEVEL'],
  metricsToken: ['METRICS_TOKEN'],
  telemetryRequired: ['TELEMETRY_REQUIRED'],
  shutdownTimeoutMs: ['SHUTDOWN_TIMEOUT_MS'],
  shutdownDelayMs: ['SHUTDOWN_DELAY_MS'],
} as const satisfies Readonly<Record<keyof Settings, readonly [string, ...string[]]>>

/** Variables that are read elsewhere: by `otel/sdk` and by the demo. */
export const VARIABLES_OF_OTHERS: readonly string[] = [
  'DEMO_UPSTREAM_URL',
  'TELEMETRY_BAGGAGE_KEYS',
  'TELEMETRY_BODY_SIZES',
  'TELEMETRY_HTTP_INSTRUMENTATION',
  'TELEMETRY_NATIVE_HISTOGRAMS',
  'TRACES_KEEP_PER_SECOND',
  'TRACES_SLOW_MS',
]

/** The variables of the incident service. */
export const INCIDENT_VARIABLES = {
  port: 'INCIDENTS_PORT',
  host: 'INCIDENTS_HOST',
  publicUrl: 'INCIDENT_PUBLIC_URL',
  prometheusUrl: 'PROMETHEUS_URL',
  alertmanagerUrls: 'ALERTMANAGER_URLS',
  jaegerUrl: 'JAEGER_URL',
  jaegerPublicUrl: 'JAEGER_PUBLIC_URL',
  tempoUrl: 'TEMPO_URL',
  prometheusHttpConfig: 'PROMETHEUS_HTTP_CONFIG',
  alertmanagerHttpConfig: 'ALERTMANAGER_HTTP_CONFIG',
  jaegerHttpConfig: 'JAEGER_HTTP_CONFIG',
  tempoHttpConfig: 'TEMPO_HTTP_CONFIG',
  logsUrl: 'LOGS_URL',
  logsKind: 'LOGS_KIND',
  logsQuery: 'LOGS_QUERY',
  logsHttpConfig: 'LOGS_HTTP_CONFIG',
  logsToken: 'LOGS_TOKEN',
  opsLinkUrl: 'OPS_LINK_URL',
  opsToken: 'OPS_TOKEN',
  opsTokenHosts: 'OPS_TOKEN_HOSTS',
  gatewayJob: 'GATEWAY_JOB',
  token: 'INCIDENTS_TOKEN',
  changesToken: 'INCIDENTS_CHANGES_TOKEN',
  redisUrl: 'REDIS_URL',
  redisSentinelUsername: 'REDIS_SENTINEL_USERNAME',
  redisSentinelPassword: 'REDIS_SENTINEL_PASSWORD',
  redisTlsCaFile: 'REDIS_TLS_CA_FILE',
  redisTlsCertFile: 'REDIS_TLS_CERT_FILE',
  redisTlsKeyFile: 'REDIS_TLS_KEY_FILE',
  folder: 'INCIDENTS_FOLDER',
  grafanaUrl: 'GRAFANA_URL',
  repositoryUrl: 'REPOSITORY_URL',
  alertmanagerPublicUrl: 'ALERTMANAGER_PUBLIC_URL',
  showClients: 'INCIDENTS_SHOW_CLIENTS',
  showConsumers: 'INCIDENTS_SHOW_CONSUMERS',
  showHeaders: 'INCIDENTS_SHOW_HEADERS',
  logLevel: 'LOG_LEVEL',
} as const satisfies Readonly<Record<keyof IncidentSettings, string>>

/** The variables of all processes, which may share one environment, for example from one `.env`. */
export const KNOWN_VARIABLES: readonly string[] = [
  ...new Set([...Object.values(VARIABLES).flat(), ...VARIABLES_OF_OTHERS, ...Object.values(INCIDENT_VARIABLES)]),
]
