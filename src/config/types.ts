import type { AccessConfig } from '../policies/access/schema'
import type { RequestIdConfig } from '../exchange/request-id-config'
import type { FailureKind } from './values/failure-kind'
import type { HeaderField } from './values/header'
import type { HostSent } from './values/host-sent'
import type { HashKey } from './values/rate-limit-key'
import type { TargetConfig } from './values/target'
import type { Algorithm, KeySource } from './values/tokens'

export type { TargetConfig }

/**
 * What the gateway is told: two types, because they change at different times. `Settings` come from the environment and
 * hold for the life of the process; `GatewayConfig` (`gateway-config.ts`) comes from `gateway.yaml`. Both are parsed, checked and frozen
 * before anything listens.
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
  /** `OPS_PUBLIC_URL`: where others reach the ops port; default made of host and port. */
  readonly opsPublicUrl: string | undefined
  /** `OPS_TOKEN`: opens the ops port beyond health and metrics where it listens on more than loopback. */
  readonly opsToken: string | undefined
  /** `OPS_ALLOWED_HOSTS`, with commas: names that the ops port may be asked by, beside the host of `OPS_PUBLIC_URL`. */
  readonly opsAllowedHosts: readonly string[]
  /** `REDIS_URL` (`redis://`, `rediss://`, with `+sentinel` or `+cluster`); unset: limits are counted in memory. */
  readonly redisUrl: string | undefined
  /** `REDIS_SENTINEL_USERNAME` and `REDIS_SENTINEL_PASSWORD`: for sentinels that ask for a login of their own. */
  readonly redisSentinelUsername: string | undefined
  readonly redisSentinelPassword: string | undefined
  /** `REDIS_TLS_CA_FILE`: who may have signed the certificate of Redis; unset: the authorities Node knows. */
  readonly redisTlsCaFile: string | undefined
  /** `REDIS_TLS_CERT_FILE` and `REDIS_TLS_KEY_FILE`: for a Redis that asks for a client certificate. */
  readonly redisTlsCertFile: string | undefined
  readonly redisTlsKeyFile: string | undefined
  /** `REDIS_TIMEOUT_MS`: how long a request may wait for Redis; default 200. */
  readonly redisTimeoutMs: number
  /** `REPLICAS`: how many gateways share the limits while Redis is away; default 1. */
  readonly replicas: number
  /** `GATEWAY_CONFIG`, the path of the routes file; default `gateway.yaml`. */
  readonly configFile: string
  /** `GATEWAY_CONFIG_WATCH`: put the routes file in force when it changes; default true. */
  readonly configWatch: boolean
  /** `LOG_LEVEL` (`fatal`, `error`, `warn`, `info`, `debug`, `trace`, `silent`); default `info`. */
  readonly logLevel: string
  /** `METRICS_TOKEN`: bearer token that `/metrics` on the gateway port then wants from every client. */
  readonly metricsToken: string | undefined
  /** `TELEMETRY_REQUIRED`: refuse to start when instrumentation is not fully active; default false. */
  readonly telemetryRequired: boolean
  /** `SHUTDOWN_TIMEOUT_MS`: how long requests in flight may take to finish after SIGTERM; default 10000. */
  readonly shutdownTimeoutMs: number
  /** `SHUTDOWN_DELAY_MS`: how long requests are still taken after SIGTERM, so that a load balancer can notice; default 0. */
  readonly shutdownDelayMs: number
}

/** Settings of the incident service, from the environment. */
export interface IncidentSettings {
  /** `INCIDENTS_PORT`, 0 for any free port; default 9095. */
  readonly port: number
  /** `INCIDENTS_HOST`; default `127.0.0.1`. */
  readonly host: string
  /** `INCIDENT_PUBLIC_URL`: where people reach the pages, so that links in messages open; default made of host and port. */
  readonly publicUrl: string | undefined
  /** `PROMETHEUS_URL`; default `http://127.0.0.1:9090`. */
  readonly prometheusUrl: string
  /** `ALERTMANAGER_URLS`, separated by commas; default `http://127.0.0.1:9093`. */
  readonly alertmanagerUrls: readonly string[]
  /** `JAEGER_PUBLIC_URL`: where people reach Jaeger; default: `JAEGER_URL`, unless that is a name of one label. */
  readonly jaegerPublicUrl: string | undefined
  /** `OPS_LINK_URL`: where people reach the kept traces of gateways; default: the address that each gateway tells. */
  readonly opsLinkUrl: string | undefined
  /** `JAEGER_URL` (API v3) and `TEMPO_URL` (API v2): asked for traces that no gateway has any more. */
  readonly jaegerUrl: string | undefined
  readonly tempoUrl: string | undefined
  /** `OPS_TOKEN`: opens the gateways' ops ports where they are open to more than loopback. */
  readonly opsToken: string | undefined
  /** `OPS_TOKEN_HOSTS`, with commas: hosts that get `OPS_TOKEN`, beside those that Prometheus scrapes for `GATEWAY_JOB`. */
  readonly opsTokenHosts: readonly string[]
  /** `GATEWAY_JOB`: the job under which Prometheus scrapes the gateways; default `myesi-api`. */
  readonly gatewayJob: string
  /** `INCIDENTS_TOKEN`: bearer token for posting alerts, and for reading from far away. */
  readonly token: string | undefined
  /** `REDIS_URL`: where incidents are remembered; unset: in `INCIDENTS_FOLDER`, default `.incidents`. */
  readonly redisUrl: string | undefined
  /** `REDIS_SENTINEL_USERNAME` and `REDIS_SENTINEL_PASSWORD`: for sentinels that ask for a login of their own. */
  readonly redisSentinelUsername: string | undefined
  readonly redisSentinelPassword: string | undefined
  /** `REDIS_TLS_CA_FILE`, `REDIS_TLS_CERT_FILE` and `REDIS_TLS_KEY_FILE`: as for the gateway. */
  readonly redisTlsCaFile: string | undefined
  readonly redisTlsCertFile: string | undefined
  readonly redisTlsKeyFile: string | undefined
  readonly folder: string
  /** `GRAFANA_URL`: where people reach Grafana; unset, pages have no links to dashboards. */
  readonly grafanaUrl: string | undefined
  /** `REPOSITORY_URL`: where this repository can be read; unset, pages name a runbook and do not link to it. */
  readonly repositoryUrl: string | undefined
  /** `ALERTMANAGER_PUBLIC_URL`: where people reach Alertmanager; default: the first of `ALERTMANAGER_URLS`. */
  readonly alertmanagerPublicUrl: string | undefined
  /** `INCIDENTS_SHOW_CLIENTS`: whether client addresses and user agents may stand in records and pages; default false. */
  readonly showClients: boolean
  /** `INCIDENTS_SHOW_CONSUMERS`: whether names of consumers may; default false: a digest. */
  readonly showConsumers: boolean
  /** `INCIDENTS_SHOW_HEADERS`, separated by commas: header fields whose values may; lower case. */
  readonly showHeaders: readonly string[]
  readonly logLevel: string
}

export interface EntrypointConfig {
  /** Addresses or CIDR blocks whose `X-Forwarded-*` and `Forwarded` are believed; never a hop count. */
  readonly trustedProxies: readonly string[]
  /** Fields that only trusted proxies may send; lower case. */
  readonly proxyOnlyHeaders: readonly string[]
  /** Whether fields with `_` in their names are taken from others too. */
  readonly underscoreHeaders: boolean
  /** Whose trace (`traceparent`, baggage, …) is continued: everybody's, that of `trustedProxies`, or nobody's. */
  readonly traceContext: 'all' | 'trusted' | 'none'
  /** By which fields a request and its answer are known. */
  readonly requestId: RequestIdConfig
  /** How long a client may take to send its header section. */
  readonly headersTimeoutMs: number
  /** How long a client may take to send a whole request, body included; 0 for no bound. */
  readonly requestTimeoutMs: number
  /** How long a client may neither send what it owes of a body nor read what is there for it. */
  readonly stallTimeoutMs: number
  /** Bytes a second of a body that a client must send; 0 for no bound. */
  readonly minUploadRate: number
  /** Bytes a second that a client must take, over `stallTimeoutMs`, while bytes of a response wait for it; 0: any. */
  readonly minDownloadRate: number
  /** Bytes of responses that may wait in the gateway for clients that read slowly. */
  readonly responseBuffer: { readonly perResponseBytes: number; readonly totalBytes: number }
  /** How long an idle connection is kept. */
  readonly keepAliveTimeoutMs: number
  /** Bytes of a request's header section, at the most. */
  readonly maxHeaderBytes: number
  /** Fields of a request's header section, at the most. */
  readonly maxHeaderFields: number
  /** Bytes of a request target as it came, at the most. */
  readonly maxUrlBytes: number
  readonly overload: OverloadConfig
  /** Who may use the gateway at all. */
  readonly access: AccessConfig | undefined
  /** Whether `/metrics` is answered on this port. */
  readonly metrics: boolean
  /** Undefined: plain HTTP. */
  readonly tls: EntrypointTlsConfig | undefined
  readonly http2: Http2Config
  /** Connections open at once, at the most. */
  readonly maxConnections: number
  /** Of them from one address, at the most; trusted proxies have no such bound. */
  readonly maxConnectionsPerClient: number
}

/** HTTP/2 on the listener, and what one connection may do. */
export interface Http2Config {
  /** Whether it is offered by ALPN. */
  readonly tls: boolean
  /** Whether a connection without TLS that begins with its preface speaks it. */
  readonly cleartext: boolean
  /** Open at once on one connection. */
  readonly maxStreams: number
  /** Streams that a client may reset within 10 s. */
  readonly maxResets: number
  /** PING and SETTINGS frames that a client may send within 10 s. */
  readonly maxControlFrames: number
  /** Bytes of a body that a client may send ahead, on one stream and on all of a connection. */
  readonly streamWindowBytes: number
  readonly connectionWindowBytes: number
  /** What one connection may hold in the HTTP/2 library, whole megabytes. */
  readonly maxMemoryBytes: number
}

/** From when on the gateway turns requests away. */
export interface OverloadConfig {
  /** Requests in flight; 0 for no bound. */
  readonly maxRequests: number
  /** How late the event loop may be; 0 for no bound. */
  readonly maxEventLoopDelayMs: number
}

/** Somebody who may be let in: mostly an application. */
export interface ConsumerConfig {
  readonly name: string
  /** What limits may differ by. */
  readonly tier: string | undefined
  /** What the consumer's API keys may be used for; a token brings its own. */
  readonly scopes: readonly string[]
  /** SHA-256 of each key, hexadecimal, lower case. */
  readonly apiKeys: readonly string[]
  /** What tokens call the consumer: `TOKENS/SUBJECT`, so that two issuers may use the same word for two of them. */
  readonly subjects: readonly string[]
}

/** Tokens (JWT, RFC 7519) of one issuer. */
export interface TokenConfig {
  readonly name: string
  readonly issuer: string
  /** One of them must be named. */
  readonly audience: readonly string[]
  readonly jwks: KeySource
  readonly algorithms: readonly Algorithm[]
  /** What the header `typ` may be, in lower case; a token without it counts as `jwt`. */
  readonly types: readonly string[]
  /** Whether ID tokens are taken. */
  readonly idTokens: boolean
  /** By how much the issuer's clock may be ahead of ours, or behind. */
  readonly clockSkewMs: number
  /** Which claim says who asks. */
  readonly consumerClaim: string
  /** Which says what for: words with spaces between them, or a list. */
  readonly scopeClaim: string
}

/** Paths of PEM files, read again when they change. */
export interface EntrypointTlsConfig {
  /** The certificate, followed by those that lead to an authority clients know. */
  readonly cert: string
  readonly key: string
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** Suites for TLS 1.2, by OpenSSL's names. */
  readonly ciphers: readonly string[]
}

export interface UpstreamConfig {
  readonly name: string
  readonly targets: readonly TargetConfig[]
  /** What targets get as `Host`; undefined: their own. */
  readonly host?: HostSent
  /** Which target gets a request: in turn, the less busy of two, or always the same for the same `hashKey`. */
  readonly balance: 'round-robin' | 'least-requests' | 'hash'
  readonly hashKey: HashKey
  readonly timeouts: {
    readonly connectMs: number
    /** From the request's last byte to the response's header section. */
    readonly responseMs: number
    /** Between two chunks of a response; undefined: the same as `responseMs`. */
    readonly idleMs: number | undefined
    /** Everything together, from the request's header section to the last byte of its response; undefined: no bound. */
    readonly totalMs: number | undefined
  }
  /** Connections per target, at the most; requests above it wait their turn. */
  readonly maxConnections: number
  /** Bytes of a response's header section. */
  readonly maxHeaderBytes: number
  readonly fairness: FairnessConfig
  /** How long a connection to a target that is a name is used, so that the name is looked up again. */
  readonly connectionLifetimeMs: number
  /** For targets that are https; undefined: verified by the authorities Node knows, without a client certificate. */
  readonly tls: UpstreamTlsConfig | undefined
  /** Undefined: no call is tried again. */
  readonly retries: RetryConfig | undefined
  /** Strict: a target whose circuit is open is not asked, not even the last one. It comes before `ejection`. */
  readonly circuitBreaker: CircuitBreakerConfig | undefined
  /** Of a target that fails while others can be asked; undefined: none is ejected for its failures. */
  readonly ejection: CircuitBreakerConfig | undefined
  /** Undefined: targets are not checked. */
  readonly healthCheck: HealthCheckConfig | undefined
  /** Percent of the targets: when fewer are well, all are asked. */
  readonly panicThreshold: number
}

/** How the connections to a target are shared between clients. */
export interface FairnessConfig {
  /** Percent of them that only clients below their share may take. */
  readonly reservePercent: number
  /** Percent of them that event streams of one client may keep while other clients wait. */
  readonly streamPercent: number
}

export interface HealthCheckConfig {
  /** Path and query. */
  readonly path: string
  /** What a target gets as `Host`; undefined: its own. */
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
  /** How many in a row. */
  readonly failures: number
  readonly openForMs: number
  /** What counts as a failure. */
  readonly on: readonly FailureKind[]
}

/** Paths of PEM files; read when the upstream is made. */
export interface UpstreamTlsConfig {
  /** Who may have signed the target's certificate, in the place of those Node knows. */
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  /** Name that is asked for (SNI) and that the certificate must be for; undefined: the target's host. */
  readonly serverName: string | undefined
}

export interface RetryConfig {
  /** Maximum calls for one request, including the first. */
  readonly attempts: number
  /** The failures after which a call is tried again. */
  readonly on: readonly FailureKind[]
}

/** One thing wrong with what the gateway was told. All of them are printed in one go. */
export interface ConfigProblem {
  /** Where it is: `gateway.yaml:12:7 routes[0].upstream`, or the name of a variable. */
  readonly where: string
  /** What was found and why it does not do, one sentence. */
  readonly problem: string
  /** What is allowed. */
  readonly allowed?: string
  /** The nearest valid name, when one is near. */
  readonly nearest?: string
  /** `warning`: worth saying, and the gateway starts all the same. Absent: an error. */
  readonly severity?: 'warning'
}
