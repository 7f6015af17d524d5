/** How the requests of a route are logged. Where there are none, each request has the standard line. */
export interface AccessLogSettings {
  /** No request has a line. */
  readonly isOff: boolean
  readonly format: 'json' | 'semconv' | 'combined'
  /** Undefined: the standard fields. */
  readonly fields: readonly AccessLogField[] | undefined
  /** Part of the successful requests that have a line. */
  readonly sample: number
}

/** Fields of the standard line, in its order. `default` stands for all of them. */
export const STANDARD_FIELDS = [
  'request_id',
  'method',
  'path',
  'route',
  'upstream',
  'variant',
  'status',
  'outcome',
  'reason',
  'grpc_status',
  'consumer',
  'external_auth',
  'client',
  'stream',
  'duration_ms',
  'event_loop_delay_ms',
  'error',
] as const

/** Further fields. */
export const MORE_FIELDS = [
  'target',
  'attempts',
  'upstream_ms',
  'host',
  'scheme',
  'protocol',
  'tls',
  'bytes',
  'request_bytes',
  'user_agent',
  'referer',
  'peer',
] as const

export type AccessLogField = 'default' | (typeof STANDARD_FIELDS)[number] | (typeof MORE_FIELDS)[number]

export const ACCESS_LOG_FIELDS: readonly AccessLogField[] = ['default', ...STANDARD_FIELDS, ...MORE_FIELDS]
