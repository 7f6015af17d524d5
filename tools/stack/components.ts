import { join, resolve } from 'node:path'
import type { Environment } from '../../src/config/env'
import { gatewayArguments } from '../../src/process/gateway-command'
import { findBinary } from './binaries'
import { COLLECTOR_CONFIG, type CollectorBinary } from './collector'
import { answers, pongs, type ComponentPlan } from './component'

/**
 * Start commands of the stack's programs on one machine, shared by `npm run stack` and the tests. All of them listen on
 * the loopback interface only.
 */

/** Compiled, this file is dist/tools/stack/components.js. */
const ROOT = resolve(__dirname, '../../..')

/**
 * Redis for limits only, without persistence; noeviction, because an evicted counter would give its client a new quota.
 */
export async function redisPlan(port: number, folder: string): Promise<ComponentPlan> {
  const listening = ['--port', `${port}`, '--bind', '127.0.0.1']
  const memory = ['--maxmemory', '64mb', '--maxmemory-policy', 'noeviction']
  return {
    name: 'redis',
    path: (await findBinary('redis-server')).path,
    args: [...listening, ...memory, '--dir', folder, '--save', '', '--appendonly', 'no'],
    address: `127.0.0.1:${port}`,
    isReady: () => pongs(port),
  }
}

export async function redisExporterPlan(port: number, redisPort: number): Promise<ComponentPlan> {
  const url = `http://127.0.0.1:${port}`
  // Below Prometheus' scrape timeout: if Redis hangs, the exporter must report redis_up 0 instead of hanging too.
  const patience = ['-connection-timeout', '5s']
  return {
    name: 'redis_exporter',
    path: (await findBinary('redis_exporter')).path,
    args: ['-redis.addr', `redis://127.0.0.1:${redisPort}`, '-web.listen-address', `127.0.0.1:${port}`, ...patience],
    address: `${url}/metrics`,
    isReady: () => answers(`${url}/health`),
  }
}

/** @param configFolder contains alertmanager.yml and its templates */
export async function alertmanagerPlan(port: number, configFolder: string, dataFolder: string): Promise<ComponentPlan> {
  const url = `http://127.0.0.1:${port}`
  return {
    name: 'alertmanager',
    path: (await findBinary('alertmanager')).path,
    args: [
      `--config.file=${join(configFolder, 'alertmanager.yml')}`,
      `--storage.path=${dataFolder}`,
      `--web.listen-address=127.0.0.1:${port}`,
      `--web.external-url=${url}`,
      // Without this it opens port 9094 on every address for cluster peers.
      '--cluster.listen-address=',
    ],
    address: url,
    isReady: () => answers(`${url}/-/ready`),
  }
}

/** @param configFolder contains prometheus.yml and its rules */
export async function prometheusPlan(port: number, configFolder: string, dataFolder: string): Promise<ComponentPlan> {
  const url = `http://127.0.0.1:${port}`
  return {
    name: 'prometheus',
    path: (await findBinary('prometheus')).path,
    args: [
      `--config.file=${join(configFolder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${dataFolder}`,
      `--web.listen-address=127.0.0.1:${port}`,
      `--web.external-url=${url}`,
      '--enable-feature=exemplar-storage',
      // Enables POST /-/reload, to apply changed files.
      '--web.enable-lifecycle',
    ],
    address: url,
    isReady: () => answers(`${url}/-/ready`),
  }
}

export function demoUpstreamPlan(port: number): ComponentPlan {
  const url = `http://127.0.0.1:${port}`
  return {
    name: 'demo',
    path: process.execPath,
    args: [join(ROOT, 'dist/tools/demo/main.js'), '--port', `${port}`],
    ipc: true,
    address: url,
    isReady: () => answers(`${url}/status/200`),
  }
}

/** @param env its whole environment; `PORT`, `OPS_PORT` and `HOST` are set here */
export function gatewayPlan(port: number, opsPort: number, env: Environment): ComponentPlan {
  return {
    name: 'gateway',
    path: process.execPath,
    args: gatewayArguments(join(ROOT, 'dist')),
    env: { HOST: '127.0.0.1', ...env, PORT: `${port}`, OPS_PORT: `${opsPort}` },
    cwd: ROOT,
    ipc: true,
    address: `http://127.0.0.1:${port}`,
    isReady: () => answers(`http://127.0.0.1:${opsPort}/readyz`),
  }
}

/** @param env its whole environment; its address and the services it queries are set here */
export function incidentsPlan(
  port: number,
  ports: { readonly prometheus: number; readonly alertmanager: number },
  env: Environment,
): ComponentPlan {
  const url = `http://127.0.0.1:${port}`
  return {
    name: 'incidents',
    path: process.execPath,
    args: ['--enable-source-maps', join(ROOT, 'dist/src/incidents/main.js')],
    env: {
      ...env,
      INCIDENTS_PORT: `${port}`,
      PROMETHEUS_URL: `http://127.0.0.1:${ports.prometheus}`,
      ALERTMANAGER_URLS: `http://127.0.0.1:${ports.alertmanager}`,
    },
    cwd: ROOT,
    ipc: true,
    address: `${url}/incidents`,
    isReady: () => answers(`${url}/-/ready`),
  }
}

/** Receives what Alertmanager would post to Slack. */
export function slackCatcherPlan(port: number): ComponentPlan {
  const url = `http://127.0.0.1:${port}`
  return {
    name: 'slack-catcher',
    path: process.execPath,
    args: [join(ROOT, 'monitoring/catcher/slack-catcher.mjs')],
    env: { PORT: `${port}`, HOST: '127.0.0.1' },
    address: url,
    isReady: () => answers(url),
  }
}

export interface CollectorPorts {
  readonly grpc: number
  readonly http: number
  readonly health: number
  /** The Collector's own metrics. */
  readonly telemetry: number
  /** Metrics computed from spans, and metrics that it received. */
  readonly prometheus: number
}

/** @param env settings of otel/collector/README.md; without `TRACES_EXPORTERS`, traces only become metrics */
export function collectorPlan(
  collector: CollectorBinary,
  ports: CollectorPorts,
  queueFolder: string,
  env: Environment,
): ComponentPlan {
  return {
    name: 'otel-collector',
    path: collector.path,
    args: [`--config=${COLLECTOR_CONFIG}`],
    env: {
      TRACES_EXPORTERS: '[nop]',
      ...env,
      OTELCOL_OTLP_GRPC_PORT: `${ports.grpc}`,
      OTELCOL_OTLP_HTTP_PORT: `${ports.http}`,
      OTELCOL_HEALTH_PORT: `${ports.health}`,
      OTELCOL_TELEMETRY_PORT: `${ports.telemetry}`,
      OTELCOL_PROMETHEUS_PORT: `${ports.prometheus}`,
      OTELCOL_QUEUE_DIR: queueFolder,
    },
    address: `http://127.0.0.1:${ports.http} (OTLP)`,
    isReady: () => answers(`http://127.0.0.1:${ports.health}/`),
  }
}
