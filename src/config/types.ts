import type { z } from 'zod'
import type { AccessConfig } from '../policies/access/schema'
import type { AccessLogSettings } from '../exchange/access-log-settings'
import type { entrypointSchema } from './entrypoint-schema'
import type { Frozen } from './frozen'
import type { consumerSchema, tokenSchema } from './identity-schema'
import type { ParsedPart } from './parsed-names'
import type { upstreamSchema } from './upstream-schema'
import type { HeaderField } from './values/header'
import type { HostSent } from './values/host-sent'
import type { TargetConfig } from './values/target'
import type { TargetSource } from './values/target-source'

export type { TargetConfig }

/**
 * Types of the configuration. There are two, because they change at different times: `Settings` come from the
 * environment and hold for the life of the process; `GatewayConfig` (`gateway-config.ts`) comes from `gateway.yaml`.
 * Both are parsed, checked and frozen before anything listens.
 */

/** Process settings, from the environment. `env.ts` is their only reader. */
export interface Settings {
  /** `PORT`, 0 for any free port; default 8000. */
  readonly port: number
  /** `HOST`, the address to listen on; default `0.0.0.0`. */
  readonly host: string
  /** `OPS_PORT`, else `OTEL_EXPORTER_PROMETHEUS_PORT`, 0 for any free port; default 9464. */
  readonly opsPort: number
  /** `OPS_HOST`, else `OTEL_EXPORTER_PROMETHEUS_HOST`; default `127.0.0.1`. */
  readonly opsHost: string
  /** `OPS_PUBLIC_URL`: public address of the ops port; default: from host and port. */
  readonly opsPublicUrl: string | undefined
  /** `INCIDENT_PUBLIC_URL`: public address of the incident service, which the pages of the ops port link to. */
  readonly incidentsUrl: string | undefined
  /** `OPS_TOKEN`: required for the ops port, except health and metrics, if it listens on more than loopback. */
  readonly opsToken: string | undefined
  /**
   * `OPS_ALLOWED_HOSTS`, comma-separated: accepted host names of the ops port, besides the host of `OPS_PUBLIC_URL`.
   */
  readonly opsAllowedHosts: readonly string[]
  /** `REDIS_URL` (`redis://`, `rediss://`, with `+sentinel` or `+cluster`); unset: limits are counted in memory. */
  readonly redisUrl: string | undefined
  /** `REDIS_SENTINEL_USERNAME` and `REDIS_SENTINEL_PASSWORD`: for sentinels with a separate login. */
  readonly redisSentinelUsername: string | undefined
  readonly redisSentinelPassword: string | undefined
  /** `REDIS_TLS_CA_FILE`: the authorities that sign the certificate of Redis; unset: the authorities Node trusts. */
  readonly redisTlsCaFile: string | undefined
  /** `REDIS_TLS_CERT_FILE` and `REDIS_TLS_KEY_FILE`: for a Redis that requires a client certificate. */
  readonly redisTlsCertFile: string | undefined
  readonly redisTlsKeyFile: string | undefined
  /** `REDIS_TIMEOUT_MS`: maximum time a request waits for Redis; default 200. */
  readonly redisTimeoutMs: number
  /** `REPLICAS`: number of gateways that share the limits while degraded; default 1. */
  readonly replicas: number
  /** `WORKERS`: number of processes that serve, `auto` for one per core; default 1, without a primary. */
  readonly workers: number
  /** `GATEWAY_CONFIG`, the path of the routes file; default `gateway.yaml`. */
  readonly configFile: string
  /** `GATEWAY_CONFIG_WATCH`: reload the routes file when it changes; default true. */
  readonly configWatch: boolean
  /** `LOG_LEVEL` (`fatal`, `error`, `warn`, `info`, `debug`, `trace`, `silent`); default `info`. */
  readonly logLevel: string
  /** `METRICS_TOKEN`: bearer token that `/metrics` on the gateway port requires of every client. */
  readonly metricsToken: string | undefined
  /** `TELEMETRY_REQUIRED`: refuse to start if instrumentation is not fully active; default false. */
  readonly telemetryRequired: boolean
  /** `SHUTDOWN_TIMEOUT_MS`: maximum time for exchanges in flight to finish after SIGTERM; default 10000. */
  readonly shutdownTimeoutMs: number
  /** `SHUTDOWN_DELAY_MS`: how long requests are still accepted after SIGTERM, until load balancers react; default 0. */
  readonly shutdownDelayMs: number
}

/** Settings of the incident service, from the environment. */
export interface IncidentSettings {
  /** `INCIDENTS_PORT`, 0 for any free port; default 9095. */
  readonly port: number
  /** `INCIDENTS_HOST`; default `127.0.0.1`. */
  readonly host: string
  /** `INCIDENT_PUBLIC_URL`: public address of the pages, for links in messages; default: from host and port. */
  readonly publicUrl: string | undefined
  /** `PROMETHEUS_URL`; default `http://127.0.0.1:9090`. */
  readonly prometheusUrl: string
  /** `ALERTMANAGER_URLS`, separated by commas; default `http://127.0.0.1:9093`. */
  readonly alertmanagerUrls: readonly string[]
  /** `JAEGER_PUBLIC_URL`: public address of Jaeger; default: `JAEGER_URL`, unless its host has a single label. */
  readonly jaegerPublicUrl: string | undefined
  /** `OPS_LINK_URL`: public address of the gateways' kept traces; default: the address that each gateway reports. */
  readonly opsLinkUrl: string | undefined
  /** `JAEGER_URL` (API v3) and `TEMPO_URL` (API v2): queried for traces that no gateway has any more, and for releases of upstreams. */
  readonly jaegerUrl: string | undefined
  readonly tempoUrl: string | undefined
  /**
   * `PROMETHEUS_HTTP_CONFIG`, `ALERTMANAGER_HTTP_CONFIG`, `JAEGER_HTTP_CONFIG` and `TEMPO_HTTP_CONFIG`: files with credentials,
   * headers and TLS, in the format of Prometheus' `http_config`.
   */
  readonly prometheusHttpConfig: string | undefined
  readonly alertmanagerHttpConfig: string | undefined
  readonly jaegerHttpConfig: string | undefined
  readonly tempoHttpConfig: string | undefined
  /** `LOGS_URL`: log store queried for lines of failing requests; unset: none. */
  readonly logsUrl: string | undefined
  /** `LOGS_KIND`; default `loki`. */
  readonly logsKind: 'loki' | 'opensearch' | 'victorialogs'
  /** `LOGS_QUERY`: stream selector of Loki, index of OpenSearch, further filter of VictoriaLogs. */
  readonly logsQuery: string | undefined
  /** `LOGS_HTTP_CONFIG`: file with credentials, headers and TLS for the log store, as for the other backends. */
  readonly logsHttpConfig: string | undefined
  /** `LOGS_TOKEN`: bearer token for the log store, instead of a file. */
  readonly logsToken: string | undefined
  /** `OPS_TOKEN`: token for the gateways' ops ports, needed if they listen on more than loopback. */
  readonly opsToken: string | undefined
  /**
   * `OPS_TOKEN_HOSTS`, comma-separated: hosts that are sent `OPS_TOKEN`, besides those that Prometheus scrapes for
   * `GATEWAY_JOB`.
   */
  readonly opsTokenHosts: readonly string[]
  /** `GATEWAY_JOB`: the Prometheus job that scrapes the gateways; default `myesi-api`. */
  readonly gatewayJob: string
  /** `INCIDENTS_TOKEN`: bearer token for posting alerts, and for reading from other than near addresses. */
  readonly token: string | undefined
  /** `INCIDENTS_CHANGES_TOKEN`: bearer token that may only post changes; default `INCIDENTS_TOKEN`. */
  readonly changesToken: string | undefined
  /** `REDIS_URL`: where incidents are stored; unset: in `INCIDENTS_FOLDER`, default `.incidents`. */
  readonly redisUrl: string | undefined
  /** `REDIS_SENTINEL_USERNAME` and `REDIS_SENTINEL_PASSWORD`: for sentinels with a separate login. */
  readonly redisSentinelUsername: string | undefined
  readonly redisSentinelPassword: string | undefined
  /** `REDIS_TLS_CA_FILE`, `REDIS_TLS_CERT_FILE` and `REDIS_TLS_KEY_FILE`: as for the gateway. */
  readonly redisTlsCaFile: string | undefined
  readonly redisTlsCertFile: string | undefined
  readonly redisTlsKeyFile: string | undefined
  readonly folder: string
  /** `GRAFANA_URL`: public address of Grafana; unset: pages have no links to dashboards. */
  readonly grafanaUrl: string | undefined
  /** `REPOSITORY_URL`: public address of this repository; unset: pages name a runbook without a link. */
  readonly repositoryUrl: string | undefined
  /** `ALERTMANAGER_PUBLIC_URL`: public address of Alertmanager; default: the first of `ALERTMANAGER_URLS`. */
  readonly alertmanagerPublicUrl: string | undefined
  /** `INCIDENTS_SHOW_CLIENTS`: show client addresses and user agents in records and pages; default false. */
  readonly showClients: boolean
  /** `INCIDENTS_SHOW_CONSUMERS`: show names of consumers; default false: a digest. */
  readonly showConsumers: boolean
  /** `INCIDENTS_SHOW_HEADERS`, comma-separated: header fields whose values are shown; lower case. */
  readonly showHeaders: readonly string[]
  readonly logLevel: string
}

type Entrypoint = z.output<typeof entrypointSchema>
type Upstream = z.output<typeof upstreamSchema>
type Token = z.output<typeof tokenSchema>
type Consumer = z.output<typeof consumerSchema>

/**
 * Parsed forms of `gateway.yaml`, derived from the schemas. The schemas say what each key means. Listed here is only what
 * parsing changes besides the names in `parsed-names.ts`; `test/unit/config/parsed-types.test.ts` guards it.
 */
export interface EntrypointConfig extends ParsedPart<Omit<Entrypoint, EntrypointParts>, 'entrypoint'> {
  /** How requests are logged; undefined: the standard line. */
  readonly accessLog?: AccessLogSettings
  readonly responseBuffer: ParsedPart<Entrypoint['responseBuffer'], 'responseBuffer'>
  readonly overload: OverloadConfig
  readonly access: AccessConfig | undefined
  /** Undefined: plain HTTP. */
  readonly tls: EntrypointTlsConfig | undefined
  readonly http2: ParsedPart<Entrypoint['http2'], 'http2'>
  /** Maximum open connections per client address; trusted proxies are exempt. */
  readonly maxConnectionsPerClient: number
}

/** Keys with a parsed form of their own, or that only policies read. */
type EntrypointParts =
  | 'accessLog'
  | 'responseBuffer'
  | 'overload'
  | 'access'
  | 'tls'
  | 'http2'
  | 'maxConnectionsPerClient'
  | EntrypointPolicyKey

/** Keys of `entrypoint` that are defaults of routes: the policies of the same names read them. */
export type EntrypointPolicyKey = 'maxBodySize' | 'telemetry' | 'maintenance'

/** The limits above which the gateway refuses requests. */
export type OverloadConfig = ParsedPart<Entrypoint['overload'], 'overload'>

/** A caller that can be authenticated: usually an application. */
export interface ConsumerConfig extends Frozen<Consumer> {
  readonly name: string
}

/** Tokens (JWT, RFC 7519) of one issuer. */
export interface TokenConfig extends ParsedPart<Token, 'token'> {
  readonly name: string
}

/** Paths of PEM files, reloaded when they change. */
export interface EntrypointTlsConfig extends Frozen<Omit<NonNullable<Entrypoint['tls']>, 'profile' | 'ciphers'>> {
  /** Cipher suites for TLS 1.2, by OpenSSL's names: the written ones, or those of the profile. */
  readonly ciphers: readonly string[]
}

/** Part of a client certificate that names the client. */
export type CertificateSubject = NonNullable<EntrypointTlsConfig['clientCertificates']>['subject']

export interface UpstreamConfig extends ParsedPart<Omit<Upstream, UpstreamParts>, 'upstream'> {
  readonly name: string
  /** The targets that are written; in the configuration of a snapshot, those that were discovered too. */
  readonly targets: readonly TargetConfig[]
  /** Undefined: the targets do not change. */
  readonly discovery?: DiscoveryConfig
  /** The `Host` field sent to targets; undefined: the target's own. */
  readonly host?: HostSent
  /** Clients stay at their target by a cookie; undefined: they do not. */
  readonly affinity?: AffinityConfig
  readonly timeouts: ParsedPart<Upstream['timeouts'], 'timeouts'>
  readonly fairness: FairnessConfig
  /** Undefined: calls are not retried. */
  readonly retries: RetryConfig | undefined
  /** A target whose circuit is open is never asked, even if it is the last one. Takes precedence over `ejection`. */
  readonly circuitBreaker: CircuitBreakerConfig | undefined
  /** Ejection of failing targets while others remain; undefined: targets are not ejected for failures. */
  readonly ejection: CircuitBreakerConfig | undefined
  /** Undefined: targets have no health checks. */
  readonly healthCheck: HealthCheckConfig | undefined
}

/** Keys with a parsed form of their own, and `without`, which is applied before. */
type UpstreamParts =
  | 'targets'
  | 'discovery'
  | 'host'
  | 'affinity'
  | 'timeouts'
  | 'fairness'
  | 'retries'
  | 'circuitBreaker'
  | 'ejection'
  | 'healthCheck'
  | 'without'

/** Where further targets are found. */
export interface DiscoveryConfig {
  readonly sources: readonly TargetSource[]
  /** Addresses of name servers; undefined: those of the system. */
  readonly resolvers: readonly string[] | undefined
  /** Maximum time between two questions to name servers; a shorter time to live of an answer counts. */
  readonly refreshMs: number
  /** Undefined: the cluster that the gateway runs in. */
  readonly kubernetes?: KubernetesConfig
}

/** How the API server of a cluster is reached. */
export interface KubernetesConfig {
  /** Undefined: the one that Kubernetes names in the environment of a pod. */
  readonly server?: string | undefined
  /** Folder with `token`, `ca.crt` and `namespace`; undefined: where the kubelet mounts them. */
  readonly credentials?: string | undefined
}

/** The cookie of `affinity`. */
export type AffinityConfig = Required<ParsedPart<NonNullable<Upstream['affinity']>['cookie'], 'cookie'>> & {
  readonly name: string
}

/** Protocol of the connections to targets; `auto`: chosen in the TLS handshake. */
export type UpstreamProtocol = Upstream['protocol']

/** Bounds of connections over HTTP/2. */
export type Http2UpstreamConfig = UpstreamConfig['http2']

/** How the connections to a target are shared among clients. */
export type FairnessConfig = ParsedPart<Upstream['fairness'], 'fairness'>

export interface HealthCheckConfig extends ParsedPart<
  Omit<NonNullable<Upstream['healthCheck']>, 'path' | 'grpc' | 'host' | 'headers'>,
  'healthCheck'
> {
  /** Checks by the gRPC health checking protocol; `service` is empty for the whole server. */
  readonly grpc?: { readonly service: string }
  /** Path and query of the health check. */
  readonly path: string
  /** The `Host` field sent to a target; undefined: its own. */
  readonly host?: HostSent
  readonly headers?: readonly HeaderField[]
}

/** `circuitBreaker` and `ejection`, which differ only in what they do with a failing target. */
export type CircuitBreakerConfig = ParsedPart<NonNullable<Upstream['circuitBreaker']>, 'circuitBreaker'>

/** Paths of PEM files; read when the upstream is created. */
export type UpstreamTlsConfig = Frozen<NonNullable<Upstream['tls']>>

export type RetryConfig = ParsedPart<NonNullable<Upstream['retries']>, 'retries'>

/** One problem with the configuration. All problems are printed together. */
export interface ConfigProblem {
  /** Position: `gateway.yaml:12:7 routes[0].upstream`, or the name of a variable. */
  readonly where: string
  /** What was found and why it is invalid, one sentence. */
  readonly problem: string
  /** The allowed values. */
  readonly allowed?: string
  /** The nearest valid name, when one is near. */
  readonly nearest?: string
  /** `warning`: reported, and the gateway still starts. Absent: an error. */
  readonly severity?: 'warning'
}
