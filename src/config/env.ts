import type { ConfigProblem, Settings } from './types'

export type Environment = Readonly<Record<string, string | undefined>>

export interface ReadSettings {
  /** Undefined when a problem is an error. */
  readonly settings: Settings | undefined
  readonly problems: readonly ConfigProblem[]
}

/** The environment of this process, as it is now: the only place in `src` that looks at it. */
export function processEnv(): Environment {
  return { ...process.env }
}

/** Process settings out of the environment; an empty variable counts as unset. Every problem in one go; never throws. */
export function readSettings(env: Environment): ReadSettings {
  const text = (name: string): string | undefined => env[name] || undefined
  const settings: Settings = {
    port: Number(text('PORT') ?? 8000),
    host: text('HOST') ?? '0.0.0.0',
    opsPort: Number(text('OPS_PORT') ?? text('OTEL_EXPORTER_PROMETHEUS_PORT') ?? 9464),
    opsHost: text('OPS_HOST') ?? text('OTEL_EXPORTER_PROMETHEUS_HOST') ?? '127.0.0.1',
    opsPublicUrl: text('OPS_PUBLIC_URL'),
    redisUrl: text('REDIS_URL'),
    replicas: Number(text('REPLICAS') ?? 1),
    configFile: text('GATEWAY_CONFIG') ?? 'gateway.yaml',
    logLevel: text('LOG_LEVEL') ?? 'info',
    metricsToken: text('METRICS_TOKEN'),
    telemetryRequired: text('TELEMETRY_REQUIRED') === 'true',
    shutdownTimeoutMs: Number(text('SHUTDOWN_TIMEOUT_MS') ?? 10_000),
  }
  return { settings, problems: [] }
}
