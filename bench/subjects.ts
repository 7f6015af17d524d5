import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ProcessSpec } from './processes.ts'
import type { Row } from './rows.ts'
import { gatewayArguments, type Tree } from './trees.ts'

/** The services that the measured programs use. */
export interface Surroundings {
  /** For configuration files; removed at the end. */
  readonly folder: string
  readonly upstreamUrl: string
  readonly sinkUrl: string
}

export type Environment = Readonly<Record<string, string>>

export const TELEMETRY_OFF: Environment = { OTEL_SDK_DISABLED: 'true' }
export const STOCK: Environment = { TELEMETRY_HTTP_INSTRUMENTATION: 'stock' }

/** Keeps the gateway from refusing requests with 503 when other programs occupy its core for a moment. */
const NEVER_OVERLOADED = { entrypoint: { overload: { maxEventLoopDelay: '10s' } } }

/** Telemetry as in production: metrics for scraping, and this fraction of the traces exported over OTLP. */
export function exporting(ratio: number): Environment {
  return { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: String(ratio) }
}

/** The reference forwarder. */
export function forwarder(name: string, { upstreamUrl }: Surroundings, env: Environment = {}): ProcessSpec {
  const program = join(import.meta.dirname, 'programs/bare-forwarder.ts')
  return { name, args: [program], env: { BENCH_UPSTREAM: upstreamUrl, ...env } }
}

let files = 0

/** The built gateway as `npm start` runs it. Its access log is on and goes to the null device. */
export function gateway(
  name: string,
  env: Environment,
  tree: Tree,
  { folder, upstreamUrl, sinkUrl }: Surroundings,
  configuration: object = oneRoute(upstreamUrl),
): ProcessSpec {
  // Its own file: gateways of several groups may have the same name.
  const file = join(folder, `${name}-${++files}.yaml`)
  writeFileSync(file, JSON.stringify({ ...NEVER_OVERLOADED, ...configuration })) // JSON is YAML
  return {
    name,
    args: gatewayArguments(tree),
    env: {
      HOST: '127.0.0.1',
      PORT: '0',
      OPS_PORT: '0',
      LOG_LEVEL: 'info',
      GATEWAY_CONFIG: file,
      OTEL_EXPORTER_OTLP_ENDPOINT: `${sinkUrl}/${name}`,
      OTEL_LOGS_EXPORTER: 'none',
      ...env,
    },
  }
}

export function oneRoute(upstreamUrl: string, path = '/plain'): object {
  return {
    upstreams: { bench: { targets: [upstreamUrl] } },
    routes: [{ name: 'one', match: { path }, upstream: 'bench' }],
  }
}

export function row(name: string, label: string, process: ProcessSpec, others: Partial<Row> = {}): Row {
  return { name, label, process, isGateway: false, ...others }
}
