/**
 * Names of all metrics and attributes that the gateway exports. Rules, dashboards and tests depend on them.
 *
 * Names follow the OpenTelemetry semantic conventions (HTTP, database) where one exists; the gateway's own begin with
 * `gateway.`. Names contain neither `_total` nor a unit; the exposition adds both.
 */

// Attributes of the conventions that the gateway sets itself.
export const ATTR_HTTP_ROUTE = 'http.route'
export const ATTR_HTTP_REQUEST_METHOD = 'http.request.method'
export const ATTR_HTTP_RESPONSE_STATUS_CODE = 'http.response.status_code'
export const ATTR_ERROR_TYPE = 'error.type'
export const ATTR_DB_CLIENT_CONNECTION_POOL_NAME = 'db.client.connection.pool.name'
export const ATTR_DB_CLIENT_CONNECTION_STATE = 'db.client.connection.state'
export const ATTR_CLIENT_ADDRESS = 'client.address'
export const ATTR_HTTP_REQUEST_METHOD_ORIGINAL = 'http.request.method_original'
export const ATTR_HTTP_REQUEST_RESEND_COUNT = 'http.request.resend_count'
export const ATTR_NETWORK_PROTOCOL_VERSION = 'network.protocol.version'
export const ATTR_RPC_SYSTEM_NAME = 'rpc.system.name'
/** `package.Service/Method`; `_OTHER` for methods that the route does not name. */
export const ATTR_RPC_METHOD = 'rpc.method'
export const ATTR_RPC_METHOD_ORIGINAL = 'rpc.method_original'
export const ATTR_RPC_STATUS_CODE = 'rpc.status_code'
export const ATTR_SERVER_ADDRESS = 'server.address'
export const ATTR_SERVER_PORT = 'server.port'
export const ATTR_URL_FULL = 'url.full'
export const ATTR_URL_PATH = 'url.path'
export const ATTR_URL_SCHEME = 'url.scheme'
export const ATTR_USER_AGENT_ORIGINAL = 'user_agent.original'

// The gateway's own attributes.
export const ATTR_UPSTREAM_NAME = 'gateway.upstream.name'
/** Variant of a split that a request was sent to. Only on requests of routes with `split`. */
export const ATTR_VARIANT = 'gateway.variant'
export const ATTR_OUTCOME = 'gateway.outcome'
export const ATTR_REASON = 'gateway.reason'
export const ATTR_REQUEST_ID = 'gateway.request.id'
/** On the SERVER span: the authenticated consumer. Never on a metric, because the number of values is unbounded. */
export const ATTR_CONSUMER_NAME = 'gateway.consumer.name'
/** Kind of a response that is meant to stay open: `event_stream`, `websocket`. */
export const ATTR_STREAM = 'gateway.stream'
/** What ended a WebSocket: `client`, `upstream`, `idle_timeout`, `gateway`. */
export const ATTR_STREAM_ENDED_BY = 'gateway.stream.ended_by'
/** Bytes received from the client of a WebSocket, and bytes sent to it. */
export const ATTR_STREAM_BYTES_IN = 'gateway.stream.bytes_in'
export const ATTR_STREAM_BYTES_OUT = 'gateway.stream.bytes_out'
/** On the SERVER span, in seconds: how long the event loop was blocked shortly before or during the request. */
export const ATTR_EVENT_LOOP_DELAY = 'gateway.event_loop.delay'
/** Why a call was retried: the reason for which the previous call failed. */
export const ATTR_RETRY_REASON = 'gateway.upstream.retry.reason'
/** `sent`, `free` if the previous call reached no target, `over_budget` if the retry budget was exhausted. */
export const ATTR_RETRY_RESULT = 'gateway.upstream.retry.result'
/** What caused the ejection of a target: `circuit`, `health_check`. */
export const ATTR_CAUSE = 'gateway.upstream.cause'
/** `passed`, `failed`. */
export const ATTR_HEALTH_CHECK_RESULT = 'gateway.upstream.health_check.result'
/** `resolved`, `failed`. */
export const ATTR_LOOKUP_RESULT = 'gateway.upstream.name_lookup.result'
/** What a certificate is for: `listener`, `client_ca`, `upstream`, `upstream_ca`. */
export const ATTR_CERTIFICATE_ROLE = 'gateway.tls.certificate.role'
/** Path of a certificate's file, as the configuration names it. */
export const ATTR_CERTIFICATE_FILE = 'gateway.tls.certificate.file'
/** `success`, `refused`. */
export const ATTR_CERTIFICATE_RESULT = 'gateway.tls.certificate.result'
/** `success`, `refused`. */
export const ATTR_CONFIG_RESULT = 'gateway.config.result'
export const ATTR_RATE_LIMITING_POLICY = 'gateway.rate_limiting.policy'
export const ATTR_RATE_LIMITING_RESULT = 'gateway.rate_limiting.result'
export const ATTR_RATE_LIMITING_STORE = 'gateway.rate_limiting.store'

/** Histogram, `s`: from the first byte of a request to the last of its response. Never an event stream or upgrade. */
export const METRIC_HTTP_SERVER_REQUEST_DURATION = 'http.server.request.duration'
/** Histogram, `By`: sizes of request bodies as received and response bodies as sent. Only if enabled. */
export const METRIC_HTTP_SERVER_REQUEST_BODY_SIZE = 'http.server.request.body.size'
export const METRIC_HTTP_SERVER_RESPONSE_BODY_SIZE = 'http.server.response.body.size'
/** UpDownCounter, `{request}`: exchanges in flight. */
export const METRIC_HTTP_SERVER_ACTIVE_REQUESTS = 'http.server.active_requests'
/** Histogram, `s`: gRPC calls, by method and status. */
export const METRIC_RPC_SERVER_CALL_DURATION = 'rpc.server.call.duration'
/** Histogram, `s`: one call to one target of an upstream. */
export const METRIC_HTTP_CLIENT_REQUEST_DURATION = 'http.client.request.duration'
/** Histogram, `s`: how long event streams and WebSockets were open. Separate, because they are not slow requests. */
export const METRIC_STREAM_DURATION = 'gateway.stream.duration'
/** UpDownCounter, `{stream}`: open event streams and WebSockets. */
export const METRIC_STREAM_ACTIVE = 'gateway.stream.active'
/** Gauge, `By`: bytes of responses buffered for slow clients. */
export const METRIC_RESPONSE_BUFFER_USAGE = 'gateway.response_buffer.usage'
/** Counter, `{response}`: responses whose upstream was paused because the total buffer was full. */
export const METRIC_RESPONSE_BUFFER_EXHAUSTED = 'gateway.response_buffer.exhausted'
/** Gauge, `s` since 1970, by role, file and upstream: expiry of a certificate. */
export const METRIC_TLS_CERTIFICATE_NOT_AFTER = 'gateway.tls.certificate.not_after'
/** Counter, `{renewal}`, by role and result: new contents of certificate files. */
export const METRIC_TLS_CERTIFICATE_RENEWALS = 'gateway.tls.certificate.renewals'
/** Gauge, by role, file and upstream: 0 while the new content of a certificate file is refused, else 1. */
export const METRIC_TLS_CERTIFICATE_RENEWAL_SUCCESSFUL = 'gateway.tls.certificate.renewal_successful'
/** Counter, `{handshake}`, by `error.type`: failed TLS handshakes. */
export const METRIC_TLS_HANDSHAKE_FAILURES = 'gateway.tls.handshake_failures'
/** Counter, `{fetch}`, by URL and result (`fetched`, `failed`): fetches of the keys of a token issuer. */
export const METRIC_AUTH_KEY_FETCHES = 'gateway.auth.key_fetches'
export const ATTR_AUTH_KEY_FETCH_RESULT = 'gateway.auth.key_fetch.result'
/** Counter, `{request}`: ended exchanges, by route, upstream, outcome and reason. */
export const METRIC_REQUESTS = 'gateway.requests'
/** Histogram, `s`, by route, upstream and status or error type: copies of requests that were sent to a mirror. */
export const METRIC_MIRROR_DURATION = 'gateway.mirror.request.duration'
/** Counter, `{request}`, by route, upstream and reason: requests in the share of a mirror that were not mirrored. */
export const METRIC_MIRROR_DROPPED = 'gateway.mirror.dropped'
/** One of `MIRROR_DROP_REASONS`. */
export const ATTR_MIRROR_DROP_REASON = 'gateway.mirror.drop_reason'
/** Why a request in the share of a mirror is not mirrored. */
export const MIRROR_DROP_REASONS = ['busy', 'body_too_large', 'no_target', 'incomplete'] as const
/** On the SERVER span: the upstream that got a copy of the request. */
export const ATTR_MIRROR_UPSTREAM = 'gateway.mirror.upstream'
/** Gauge, by route, variant, upstream and role: configured weight of a variant. An alert compares candidates with the stable one. */
export const METRIC_SPLIT_WEIGHT = 'gateway.split.weight'
/** `stable` for the first variant of a split, `candidate` for the others. */
export const ATTR_SPLIT_ROLE = 'gateway.split.role'
/** Counter, `{call}`: retries, and retries refused by the budget; by upstream, reason and result. */
export const METRIC_UPSTREAM_RETRIES = 'gateway.upstream.retries'
/** Gauge, by upstream and target: 1 while the target is available, 0 while it is ejected. */
export const METRIC_UPSTREAM_TARGET_HEALTHY = 'gateway.upstream.target.healthy'
/** Gauge, `{request}`, by upstream and target: calls in flight, including those that wait for a connection. */
export const METRIC_UPSTREAM_TARGET_ACTIVE_REQUESTS = 'gateway.upstream.target.active_requests'
/** Counter, `{ejection}`, by upstream, target and cause: ejections of a target. */
export const METRIC_UPSTREAM_TARGET_EJECTIONS = 'gateway.upstream.target.ejections'
/** Counter, `{check}`, by upstream, target and result: health checks made. */
export const METRIC_UPSTREAM_HEALTH_CHECKS = 'gateway.upstream.health_checks'
/** Counter, `{lookup}`, by upstream, target and result: name look-ups of targets. */
export const METRIC_UPSTREAM_NAME_LOOKUPS = 'gateway.upstream.name_lookups'
/** Counter, `{discovery}`, by upstream, source and result: new lists of targets, and lists that could not be had or used. */
export const METRIC_UPSTREAM_DISCOVERIES = 'gateway.upstream.discoveries'
/** `dns`, `srv` or `file`. */
export const ATTR_DISCOVERY_SOURCE = 'gateway.upstream.discovery.source'
/** `changed`, or `failed`: the list before stays. */
export const ATTR_DISCOVERY_RESULT = 'gateway.upstream.discovery.result'
/** Gauge, `{target}`, by upstream: targets of an upstream with discovery. */
export const METRIC_UPSTREAM_DISCOVERED_TARGETS = 'gateway.upstream.discovered_targets'
/** Gauge, by upstream: 1 if the last look at every source succeeded, 0 while old lists are kept. */
export const METRIC_UPSTREAM_DISCOVERY_SUCCESSFUL = 'gateway.upstream.discovery.successful'
/** Gauge, by upstream: 1 while so few targets are available that all of them get requests. */
export const METRIC_UPSTREAM_PANIC = 'gateway.upstream.panic'
/**
 * Counter, `{request}`: rate-limit decisions, by route, policy, result (`allowed`, `limited`, `would_limit`) and store.
 */
export const METRIC_RATE_LIMITING_REQUESTS = 'gateway.rate_limiting.requests'
/**
 * Counter, `{request}`, by route and result (`allowed`, `denied`, `cached`, `failed`, `failed_open`, `overloaded`): decisions
 * of external authorizers.
 */
export const METRIC_EXTERNAL_AUTH_REQUESTS = 'gateway.external_auth.requests'
export const ATTR_EXTERNAL_AUTH_RESULT = 'gateway.external_auth.result'
/** Gauge: 1 while limits are degraded (counted locally although Redis is configured), else 0. */
export const METRIC_RATE_LIMITING_DEGRADED = 'gateway.rate_limiting.degraded'
/** UpDownCounter, `{connection}`, by pool and state (`used`, `idle`): established connections to Redis. */
export const METRIC_DB_CLIENT_CONNECTION_COUNT = 'db.client.connection.count'
/** Counter, `{error}`, by error type: failed Redis commands of requests. */
export const METRIC_REDIS_ERRORS = 'gateway.redis.errors'
/** Counter, `{outage}`, by error type: times that Redis became unavailable. */
export const METRIC_REDIS_OUTAGES = 'gateway.redis.outages'
/** Gauge, by error type: 1 for the latest known cause while Redis is unavailable, 0 for earlier causes. */
export const METRIC_REDIS_UNAVAILABLE = 'gateway.redis.unavailable'
/** Counter, `{reconnect}`: reconnections to Redis. */
export const METRIC_REDIS_RECONNECTS = 'gateway.redis.reconnects'
/** Gauge, always 1: the address of this replica's ops port, as attribute `url`. */
export const METRIC_OPS_INFO = 'gateway.ops.info'
/**
 * Gauge, always 1: the active objectives. An alert compares them with those that Prometheus' rules were generated from.
 */
export const METRIC_SLO_INFO = 'gateway.slo.info'
export const ATTR_SLO_HASH = 'gateway.slo.hash'
/** Gauge, always 1: the checksum of the active configuration, as attribute `sha256`. */
export const METRIC_CONFIG_INFO = 'gateway.config.info'
/** Gauge: 1 while the file read last is active, 0 after a file was refused. */
export const METRIC_CONFIG_LAST_RELOAD_SUCCESSFUL = 'gateway.config.last_reload_successful'
/** Gauge, `s` since 1970: when the active configuration was read. */
export const METRIC_CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP = 'gateway.config.last_reload_success_timestamp'
/** Counter, `{failure}`, by policy and failure (`threw`, `timed_out`, `blocked_event_loop`): failures of the policies in `policies`. */
export const METRIC_POLICY_FAILURES = 'gateway.policy.failures'
export const ATTR_POLICY = 'gateway.policy.name'
export const ATTR_POLICY_FAILURE = 'gateway.policy.failure'
/** Counter, `{reload}`, by result: reloads of the file. */
export const METRIC_CONFIG_RELOADS = 'gateway.config.reloads'

/**
 * Counter, `{connection}`: client connections closed on arrival, by `error.type` (`max_connections`,
 * `max_connections_per_client`, `no_descriptors`, `other`).
 */
export const METRIC_CONNECTIONS_REFUSED = 'gateway.connections.refused'
/**
 * Counter, `{connection}`, by `error.type` (`rapid_reset`, `control_flood`, …): HTTP/2 connections closed for abuse.
 */
export const METRIC_HTTP2_CONNECTIONS_REFUSED = 'gateway.http2.connections.refused'
/** Counter, `{line}`, by `error.type` (`slow_reader`, `no_space`, `closed`, `other`): log lines that were not written. */
export const METRIC_LOG_DROPPED = 'gateway.log.dropped'

/** Counter, `{restart}`: workers that ended unexpectedly and were replaced. Only with several workers, as the next two. */
export const METRIC_WORKER_RESTARTS = 'gateway.worker.restarts'
/** Gauge, `{worker}`: workers that accept requests. */
export const METRIC_WORKER_LISTENING = 'gateway.worker.listening'
/** Counter, `{question}`: times that a worker did not answer the primary in time. */
export const METRIC_WORKER_UNANSWERED = 'gateway.worker.unanswered'

/** Bucket boundaries in bytes. Few, because there are as many attribute sets as for the duration. */
export const BODY_BUCKETS_BY = [0, 1_024, 16_384, 262_144, 4_194_304, 67_108_864]
/** Bucket boundaries in seconds that the conventions recommend for HTTP durations. */
export const DURATION_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

/** The instrumentation scope of everything the gateway records itself. */
export const SCOPE_NAME = 'myesi-gateway'
/** The version of the conventions that the names follow. */
export const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.45.0'
