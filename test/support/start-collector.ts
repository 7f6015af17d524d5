import { join } from 'node:path'
import { COLLECTOR_CONFIG, findCollector } from '../../tools/stack/collector'
import { parseExposition, type Sample } from './exposition'
import { freePort } from './free-port'
import { plainEnvironment, startProcess, type TestProcess } from './start-process'
import { temporaryFolder } from './temporary-folder'
import { until } from './until'

export interface CollectorOptions {
  /** Default: collector.yaml. */
  readonly config?: string
  /** What the configuration reads, beside ports, queue folder and short waits. */
  readonly env?: NodeJS.ProcessEnv
  /** Settings laid over the configuration, as `exporters::otlp_http/vendor::encoding: json`. */
  readonly overlays?: readonly string[]
  /** Features of the Collector that are off by default. */
  readonly featureGates?: readonly string[]
}

export interface RunningCollector {
  /** Receives OTLP over HTTP: `http://127.0.0.1:PORT`. */
  readonly url: string
  /** Receives OTLP over gRPC: `127.0.0.1:PORT`. */
  readonly grpcAddress: string
  /** What the `prometheus` exporter serves. */
  readonly metricsUrl: string
  /** What it says about itself. */
  readonly selfUrl: string
  readonly process: TestProcess
  /** The sum of a metric of its own, over the series with these labels; 0 where there is none. */
  ownMetric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>
  stop(): Promise<void>
  kill(): Promise<void>
  /** After `stop` or `kill`: the same again, with the same ports and queue. */
  startAgain(): Promise<void>
}

/** A real Collector with our configuration on free loopback ports, once it is ready. */
export async function startCollector(options: CollectorOptions = {}): Promise<RunningCollector> {
  const folder = temporaryFolder()
  let ports = await freePorts()
  let collector = await launch(ports, folder, options).catch(async () => {
    // Another test's process may have taken a port in between; a second refusal is real.
    ports = await freePorts()
    return launch(ports, folder, options)
  })
  const selfUrl = `http://127.0.0.1:${ports.telemetry}/metrics`
  return {
    url: `http://127.0.0.1:${ports.http}`,
    grpcAddress: `127.0.0.1:${ports.grpc}`,
    metricsUrl: `http://127.0.0.1:${ports.prometheus}/metrics`,
    selfUrl,
    get process() {
      return collector
    },
    ownMetric: async (name, labels = {}) => {
      const samples = (await scrape(selfUrl)).filter(sample => sample.name === name && hasLabels(sample, labels))
      return samples.reduce((sum, sample) => sum + sample.value, 0)
    },
    stop: async () => {
      await collector.stop()
    },
    kill: async () => {
      await collector.kill()
    },
    startAgain: async () => {
      collector = await launch(ports, folder, options)
    },
  }
}

/** Runs the Collector to its end, for what it refuses: `validate`, or a start that fails. */
export async function collectorProcess(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  name = 'otelcol',
): Promise<TestProcess> {
  const { path } = await findCollector()
  return startProcess({ name, path, args, env: plainEnvironment(env) })
}

/** Every sample that is exposed there as Prometheus text. */
export async function scrape(url: string): Promise<Sample[]> {
  const response = await fetch(url, { headers: { accept: 'text/plain;version=0.0.4' } })
  const families = parseExposition(await response.text(), 'text')
  return [...families.values()].flatMap(family => family.samples)
}

interface Ports {
  readonly grpc: number
  readonly http: number
  readonly health: number
  readonly telemetry: number
  readonly prometheus: number
}

async function freePorts(): Promise<Ports> {
  const names = ['grpc', 'http', 'health', 'telemetry', 'prometheus'] as const
  const ports = new Set<number>()
  while (ports.size < names.length) ports.add(await freePort())
  const [grpc, http, health, telemetry, prometheus] = [...ports] as [number, number, number, number, number]
  return { grpc, http, health, telemetry, prometheus }
}

async function launch(ports: Ports, folder: string, options: CollectorOptions): Promise<TestProcess> {
  const { config = COLLECTOR_CONFIG, env = {}, overlays = [], featureGates = [] } = options
  const sources = [config, ...overlays.map(overlay => `yaml:${overlay}`)].map(source => `--config=${source}`)
  const args = featureGates.length === 0 ? sources : [...sources, `--feature-gates=${featureGates.join(',')}`]
  const collector = await collectorProcess(args, {
    OTELCOL_OTLP_GRPC_PORT: `${ports.grpc}`,
    OTELCOL_OTLP_HTTP_PORT: `${ports.http}`,
    OTELCOL_HEALTH_PORT: `${ports.health}`,
    OTELCOL_TELEMETRY_PORT: `${ports.telemetry}`,
    OTELCOL_PROMETHEUS_PORT: `${ports.prometheus}`,
    OTELCOL_QUEUE_DIR: join(folder, 'queue'),
    OTELCOL_RETRY_INITIAL_INTERVAL: '100ms',
    OTELCOL_RETRY_MAX_INTERVAL: '200ms',
    TAIL_DECISION_WAIT: '1s',
    SPAN_METRICS_FLUSH_INTERVAL: '1s',
    // The default names a host of the compose file.
    TRACES_EXPORTERS: '[nop]',
    ...env,
  })
  const healthy = async (): Promise<boolean> => {
    if (collector.exit !== undefined) return true
    return (await fetch(`http://127.0.0.1:${ports.health}/`)).ok
  }
  await until(healthy, { what: 'the Collector is healthy', timeoutMs: 20_000 })
  if (collector.exit !== undefined) throw collector.failure('ended before it was healthy')
  return collector
}

function hasLabels(sample: Sample, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(labels).every(([name, value]) => sample.labels[name] === value)
}
