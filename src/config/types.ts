import type { AccessConfig } from '../policies/access/schema'
import type { RequestIdConfig } from '../exchange/request-id-config'
import type { FailureKind } from './values/failure-kind'
import type { HeaderField } from './values/header'
import type { HostSent } from './values/host-sent'
import type { HashKey } from './values/rate-limit-key'
import type { AccessLogSettings } from '../exchange/access-log-settings'
import type { TargetConfig } from './values/target'
import type { TargetSource } from './values/target-source'
import type { Algorithm, KeySource } from './values/tokens'
import type { UserConfig } from './values/user-names'

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
  /** `JAEGER_URL` (API v3) and `TEMPO_URL` (API v2): queried for traces that no gateway has any more. */
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

export interface EntrypointConfig {
  /** Addresses or CIDR blocks whose `X-Forwarded-*` and `Forwarded` fields are trusted; never a hop count. */
  readonly trustedProxies: readonly string[]
  /** Fields that only trusted proxies may send; lower case. */
  readonly proxyOnlyHeaders: readonly string[]
  /** Whether other clients too may send fields with `_` in their names. */
  readonly underscoreHeaders: boolean
  /** From which clients trace context (`traceparent`, baggage, …) is accepted; traces of the others start new. */
  readonly traceContext: 'all' | 'trusted' | 'none'
  /** The fields that carry the request id in requests and responses. */
  readonly requestId: RequestIdConfig
  /** Path of the HTML page for errors; undefined: the gateway's own. */
  readonly errorPage: string | undefined
  /** How requests are logged; undefined: the standard line. */
  readonly accessLog?: AccessLogSettings
  /** The gateway's name in `Proxy-Status`; undefined: not sent. */
  readonly proxyStatus: string | undefined
  /** Maximum time for a client to send its header section. */
  readonly headersTimeoutMs: number
  /** Maximum time for a client to send a whole request, body included; 0: no limit. */
  readonly requestTimeoutMs: number
  /** Maximum time without progress of a body: the client neither sends its request body nor reads the response. */
  readonly stallTimeoutMs: number
  /** Minimum bytes per second of a request body; 0: no limit. */
  readonly minUploadRate: number
  /**
   * Minimum bytes per second that a client must read, over `stallTimeoutMs`, while response bytes wait; 0: no limit.
   */
  readonly minDownloadRate: number
  /** Maximum bytes of responses buffered for clients that read slowly. */
  readonly responseBuffer: { readonly perResponseBytes: number; readonly totalBytes: number }
  /** How long an idle connection is kept open. */
  readonly keepAliveTimeoutMs: number
  /** Maximum bytes of a request's header section. */
  readonly maxHeaderBytes: number
  /** Maximum fields in a request's header section. */
  readonly maxHeaderFields: number
  /** Maximum bytes of a request target as received. */
  readonly maxUrlBytes: number
  readonly overload: OverloadConfig
  /** Which clients may use the gateway at all. */
  readonly access: AccessConfig | undefined
  /** Whether `/metrics` is served on this port. */
  readonly metrics: boolean
  /** Undefined: plain HTTP. */
  readonly tls: EntrypointTlsConfig | undefined
  readonly http2: Http2Config
  /** Maximum open connections. */
  readonly maxConnections: number
  /** Maximum open connections per client address; trusted proxies are exempt. */
  readonly maxConnectionsPerClient: number
  /** Maximum open WebSockets per client address, also behind trusted proxies; undefined: `maxConnectionsPerClient`. */
  readonly maxWebSocketsPerClient: number | undefined
}

/** HTTP/2 on the listener, and the limits of one connection. */
export interface Http2Config {
  /** Whether ALPN offers HTTP/2. */
  readonly tls: boolean
  /** Whether a connection without TLS that begins with the HTTP/2 preface uses HTTP/2. */
  readonly cleartext: boolean
  /** Maximum open streams per connection. */
  readonly maxStreams: number
  /** Maximum streams that a client may reset within 10 s. */
  readonly maxResets: number
  /** Maximum PING and SETTINGS frames that a client may send within 10 s. */
  readonly maxControlFrames: number
  /** Flow-control windows: bytes of a body that a client may send ahead, per stream and per connection. */
  readonly streamWindowBytes: number
  readonly connectionWindowBytes: number
  /** Maximum memory of one connection in the HTTP/2 library, whole megabytes. */
  readonly maxMemoryBytes: number
}

/** The limits above which the gateway refuses requests. */
export interface OverloadConfig {
  /** Maximum requests in flight; 0: no limit. */
  readonly maxRequests: number
  /** Maximum event loop delay; 0: no limit. */
  readonly maxEventLoopDelayMs: number
}

/** A caller that can be authenticated: usually an application. */
export interface ConsumerConfig {
  readonly name: string
  /** The tier that limits can depend on. */
  readonly tier: string | undefined
  /** The scopes of the consumer's API keys; a token has its own. */
  readonly scopes: readonly string[]
  /** SHA-256 of each API key, hexadecimal, lower case. */
  readonly apiKeys: readonly string[]
  /** The consumer's users for Basic authentication. */
  readonly users: readonly UserConfig[]
  /**
   * The consumer's subjects in tokens: `TOKENS/SUBJECT`, so that two issuers may use the same subject for two
   * consumers.
   */
  readonly subjects: readonly string[]
  /** The consumer's subjects in client certificates. */
  readonly certificates: readonly string[]
}

/** Tokens (JWT, RFC 7519) of one issuer. */
export interface TokenConfig {
  readonly name: string
  readonly issuer: string
  /** Accepted audiences; a token must name one of them. */
  readonly audience: readonly string[]
  readonly jwks: KeySource
  readonly algorithms: readonly Algorithm[]
  /** Accepted values of the header `typ`, in lower case; a token without it counts as `jwt`. */
  readonly types: readonly string[]
  /** Whether ID tokens are accepted. */
  readonly idTokens: boolean
  /** Maximum difference between the issuer's clock and ours. */
  readonly clockSkewMs: number
  /** The claim that identifies the consumer. */
  readonly consumerClaim: string
  /** The claim with the scopes: space-separated or a list. */
  readonly scopeClaim: string
}

/** Paths of PEM files, reloaded when they change. */
export interface EntrypointTlsConfig {
  /** The certificate, followed by its chain up to an authority that clients trust. */
  readonly cert: string
  readonly key: string
  /** Further certificates, chosen by the server name that the client asks for (SNI). */
  readonly certificates: readonly { readonly cert: string; readonly key: string }[]
  /** Whether a client that asks for a name of no certificate gets the first certificate. */
  readonly unknownNames: 'default' | 'refuse'
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** Cipher suites for TLS 1.2, by OpenSSL's names. */
  readonly ciphers: readonly string[]
  /** Undefined: clients are not asked for a certificate. */
  readonly clientCertificates: ClientCertificatesConfig | undefined
  /** Undefined: no second port. */
  readonly redirectHttp: RedirectHttpConfig | undefined
}

/** Certificates of clients (mutual TLS). */
export interface ClientCertificatesConfig {
  /** Path of a PEM file with the authorities that sign them. */
  readonly ca: string
  readonly required: boolean
  /** Part of the certificate that names the client. */
  readonly subject: CertificateSubject
  /** Whether upstreams get the certificate in `Client-Cert` (RFC 9440). */
  readonly forward: boolean
}

/** Common name, distinguished name, or the first subject alternative name of a kind. */
export type CertificateSubject = 'cn' | 'dn' | 'uri' | 'dns' | 'email'

/** A port that redirects http to https. */
export interface RedirectHttpConfig {
  readonly port: number
  /** Port in the redirected URL. */
  readonly httpsPort: number
}

export interface UpstreamConfig {
  readonly name: string
  /** The targets that are written; in the configuration of a snapshot, those that were discovered too. */
  readonly targets: readonly TargetConfig[]
  /** Undefined: the targets do not change. */
  readonly discovery?: DiscoveryConfig
  /** The `Host` field sent to targets; undefined: the target's own. */
  readonly host?: HostSent
  /** How a target is chosen: in turn, the less busy of two, or always the same one for the same `hashKey`. */
  readonly balance: 'round-robin' | 'least-requests' | 'hash'
  readonly hashKey: HashKey
  /** Clients stay at their target by a cookie; undefined: they do not. */
  readonly affinity?: AffinityConfig
  readonly timeouts: {
    readonly connectMs: number
    /** Maximum time from the request's last byte to the response's header section. */
    readonly responseMs: number
    /** Maximum time between two chunks of a response; undefined: the same as `responseMs`. */
    readonly idleMs: number | undefined
    /**
     * Maximum time of the whole exchange, from the request's header section to the response's last byte; undefined: no
     * limit.
     */
    readonly totalMs: number | undefined
  }
  readonly protocol: UpstreamProtocol
  readonly http2: Http2UpstreamConfig
  /** Maximum connections per target; further requests wait. */
  readonly maxConnections: number
  /** Maximum bytes of a response's header section. */
  readonly maxHeaderBytes: number
  readonly fairness: FairnessConfig
  /** Maximum lifetime of a connection to a target given by name, so that the name is resolved again. */
  readonly connectionLifetimeMs: number
  /** TLS to https targets; undefined: verified with the authorities Node trusts, without a client certificate. */
  readonly tls: UpstreamTlsConfig | undefined
  /** Undefined: calls are not retried. */
  readonly retries: RetryConfig | undefined
  /** A target whose circuit is open is never asked, even if it is the last one. Takes precedence over `ejection`. */
  readonly circuitBreaker: CircuitBreakerConfig | undefined
  /** Ejection of failing targets while others remain; undefined: targets are not ejected for failures. */
  readonly ejection: CircuitBreakerConfig | undefined
  /** Undefined: targets have no health checks. */
  readonly healthCheck: HealthCheckConfig | undefined
  /** Panic threshold in percent: when fewer targets are healthy, all are asked. */
  readonly panicThreshold: number
}

/** Where further targets are found. */
export interface DiscoveryConfig {
  readonly sources: readonly TargetSource[]
  /** Addresses of name servers; undefined: those of the system. */
  readonly resolvers: readonly string[] | undefined
  /** Maximum time between two questions to name servers; a shorter time to live of an answer counts. */
  readonly refreshMs: number
}

export interface AffinityConfig {
  readonly name: string
  /** Undefined: until the browser is closed. */
  readonly ttlMs: number | undefined
  /** Key of the hash in the cookie; undefined: the name of the upstream. */
  readonly secret: string | undefined
}

/** Protocol of the connections to targets; `auto`: chosen in the TLS handshake. */
export type UpstreamProtocol = 'http1' | 'h2' | 'h2c' | 'auto'

/** Bounds of connections over HTTP/2. */
export interface Http2UpstreamConfig {
  /** Connections to one target. */
  readonly maxConnections: number
  /** Streams at once on one connection. */
  readonly maxStreams: number
}

/** How the connections to a target are shared among clients. */
export interface FairnessConfig {
  /** Percent of the connections reserved for clients below their share. */
  readonly reservePercent: number
  /** Percent of the connections that event streams of one client may keep while other clients wait. */
  readonly streamPercent: number
}

export interface HealthCheckConfig {
  /** Checks by the gRPC health checking protocol; `service` is empty for the whole server. */
  readonly grpc?: { readonly service: string }
  /** Path and query of the health check. */
  readonly path: string
  /** The `Host` field sent to a target; undefined: its own. */
  readonly host?: HostSent
  readonly headers?: readonly HeaderField[]
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Consecutive passed checks after which an unhealthy target is reinstated. */
  readonly healthyAfter: number
  /** Consecutive failed checks after which a target is ejected. */
  readonly unhealthyAfter: number
}

export interface CircuitBreakerConfig {
  /** Consecutive failures. */
  readonly failures: number
  readonly openForMs: number
  /** The kinds of failures that count. */
  readonly on: readonly FailureKind[]
}

/** Paths of PEM files; read when the upstream is created. */
export interface UpstreamTlsConfig {
  /** The authorities that sign the target's certificate, instead of those Node trusts. */
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  /** Server name (SNI) that the certificate must match; undefined: the target's host. */
  readonly serverName: string | undefined
}

export interface RetryConfig {
  /** Maximum calls for one request, including the first. */
  readonly attempts: number
  /** The kinds of failures after which a call is retried. */
  readonly on: readonly FailureKind[]
}

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
