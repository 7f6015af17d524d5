import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gatewayArguments } from '../../../src/process/gateway-command'
import { findBinary } from '../../../tools/stack/binaries'
import { findCollector } from '../../../tools/stack/collector'
import { answers, type ComponentPlan } from '../../../tools/stack/component'
import { askRedis } from '../../support/ask-redis'
import { startPlanned } from '../../support/start-planned'
import type { TestProcess } from '../../support/start-process'
import { temporaryFolder } from '../../support/temporary-folder'
import type { Machine } from './network'

/** Compiled, this file is dist/test/long/fleet/programs.js. */
const DIST = resolve(__dirname, '../../..')

export const OPS_TOKEN = 'token-of-this-test-alone'
export const INCIDENTS_TOKEN = 'pages-of-this-test-alone'

/** A program on a machine. It can end and start again, with the same files and addresses. */
export class Program {
  readonly #plan: (env: NodeJS.ProcessEnv) => ComponentPlan
  readonly #machine: Machine
  #process: TestProcess | undefined

  constructor(machine: Machine, plan: (env: NodeJS.ProcessEnv) => ComponentPlan) {
    this.#machine = machine
    this.#plan = plan
  }

  get name(): string {
    return this.#machine.name
  }

  get process(): TestProcess {
    if (this.#process === undefined) throw new Error(`${this.name} was never started`)
    return this.#process
  }

  /** @param env settings of this start alone, such as a clock of its own */
  async start(env: NodeJS.ProcessEnv = {}): Promise<this> {
    const plan = this.#plan(env)
    this.#process = await startPlanned({ ...plan, ...this.#machine.running(plan), name: `${plan.name} ${this.name}` })
    return this
  }

  /** SIGTERM; @throws if the program does not end by itself */
  async stop(): Promise<void> {
    const { code, signal } = await this.process.stop(20_000)
    if (signal === 'SIGKILL' || (code !== 0 && signal !== 'SIGTERM')) throw this.process.failure('did not end well')
  }

  async restart(env: NodeJS.ProcessEnv = {}): Promise<void> {
    await this.stop()
    await this.start(env)
  }

  async kill(): Promise<void> {
    await this.process.kill()
  }
}

export class Gateway extends Program {
  readonly port = 8000
  /** Address for clients. */
  readonly host: string
  /** The ops port in the network of clients: readable also while the other one is cut. */
  readonly opsUrl: string
  /** What Prometheus scrapes. */
  readonly instance: string
  readonly configFile: string

  constructor(machine: Machine, config: string, env: NodeJS.ProcessEnv) {
    const configFile = join(temporaryFolder(), 'gateway.yaml')
    writeFileSync(configFile, config)
    const [front, back] = [machine.address('front'), machine.address('back')]
    super(machine, more => ({
      name: 'gateway',
      path: process.execPath,
      args: gatewayArguments(DIST),
      cwd: resolve(DIST, '..'),
      env: {
        PORT: '8000',
        HOST: '0.0.0.0',
        OPS_PORT: '9464',
        OPS_HOST: '0.0.0.0',
        OPS_PUBLIC_URL: `http://${back}:9464`,
        OPS_TOKEN,
        GATEWAY_CONFIG: configFile,
        ...env,
        ...more,
      },
      address: `http://${front}:8000`,
      isReady: async () => answers(`http://${front}:9464/readyz`),
    }))
    this.configFile = configFile
    this.host = front
    this.opsUrl = `http://${front}:9464`
    this.instance = `${back}:9464`
  }

  get url(): string {
    return `http://${this.host}:${this.port}`
  }
}

/** A node of a Redis Cluster, without persistence as the limits of docs/rate-limits.md need none. */
export class RedisNode extends Program {
  readonly host: string
  readonly url: string

  constructor(machine: Machine, path: string) {
    const host = machine.address('back')
    const folder = temporaryFolder()
    const url = `redis://${host}:6379`
    const settings = {
      bind: '0.0.0.0',
      'protected-mode': 'no',
      dir: folder,
      save: '',
      appendonly: 'no',
      'cluster-enabled': 'yes',
      'cluster-node-timeout': '1000',
      'cluster-replica-validity-factor': '0',
      // A lost shard stops only its own clients.
      'cluster-require-full-coverage': 'no',
      'repl-diskless-sync-delay': '0',
    }
    super(machine, env => ({
      name: 'redis-server',
      path,
      args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
      env,
      address: url,
      isReady: async () => askRedis(url, async node => (await node.ping()) === 'PONG'),
    }))
    this.host = host
    this.url = url
  }
}

export class Collector extends Program {
  constructor(
    machine: Machine,
    path: string,
    config: string,
    settings: NodeJS.ProcessEnv,
    overlays: readonly string[],
  ) {
    const host = machine.address('back')
    const queue = join(temporaryFolder(), 'queue')
    super(machine, env => ({
      name: 'otelcol',
      path,
      args: [config, ...overlays.map(overlay => `yaml:${overlay}`)].map(source => `--config=${source}`),
      env: {
        OTELCOL_HOST: '0.0.0.0',
        OTELCOL_QUEUE_DIR: queue,
        OTELCOL_RETRY_INITIAL_INTERVAL: '100ms',
        OTELCOL_RETRY_MAX_INTERVAL: '200ms',
        ...settings,
        ...env,
      },
      address: `http://${host}:4318`,
      isReady: async () => answers(`http://${host}:13133/`),
    }))
  }
}

/** @param folder contains prometheus.yml and its rules */
export async function prometheusOn(machine: Machine, folder: string): Promise<Program> {
  const { path } = await findBinary('prometheus')
  const data = join(temporaryFolder(), 'data')
  mkdirSync(data)
  const url = `http://${machine.address('back')}:9090`
  return new Program(machine, env => ({
    name: 'prometheus',
    path,
    args: [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${data}`,
      '--web.listen-address=0.0.0.0:9090',
      '--enable-feature=exemplar-storage',
    ],
    env,
    address: url,
    isReady: async () => answers(`${url}/-/ready`),
  }))
}

export function incidentsOn(machine: Machine, prometheusUrl: string): Program {
  const url = `http://${machine.address('back')}:9095`
  const folder = temporaryFolder()
  return new Program(machine, env => ({
    name: 'incidents',
    path: process.execPath,
    args: ['--enable-source-maps', join(DIST, 'src/incidents/main.js')],
    cwd: resolve(DIST, '..'),
    env: {
      INCIDENTS_HOST: '0.0.0.0',
      INCIDENTS_PORT: '9095',
      INCIDENTS_FOLDER: folder,
      INCIDENTS_TOKEN,
      PROMETHEUS_URL: prometheusUrl,
      // There is none in this fleet: incidents are made from what Prometheus sends.
      ALERTMANAGER_URLS: 'http://127.0.0.1:9',
      OPS_TOKEN,
      ...env,
    },
    address: url,
    isReady: async () => answers(`${url}/-/ready`),
  }))
}

export async function collectorPath(): Promise<string> {
  return (await findCollector()).path
}
