import { Socket } from 'node:net'
import dns from 'node:dns'
import { parentPort } from 'node:worker_threads'
import pino from 'pino'
import { parseGatewayFile } from '../../src/config/gateway-file'
import { createGateway, type Gateway } from '../../src/gateway'
import { Observer } from '../../src/observe/observer'
import { RecentRequests } from '../../src/observe/recent/recent-requests'
import { RequestMetrics } from '../../src/observe/request-metrics'
import { RequestSamples } from '../../src/observe/samples/request-samples'
import { SilentServerTelemetry } from '../../src/observe/silent-server-telemetry'
import { OwnClientTelemetry } from '../../src/upstream/client-telemetry'

/** What became of one text. */
export interface Checked {
  readonly accepted: boolean
  /** What is wrong with how it was taken. */
  readonly fault: string | undefined
  /** CPU time, which other programs on the machine do not lengthen. */
  readonly ms: number
}

// Targets are made up: nothing leaves this process.
Object.assign(dns, {
  lookup: (...args: readonly unknown[]) => (args.at(-1) as (error: Error) => void)(new Error('no name server')),
})
Socket.prototype.connect = function connect(this: Socket) {
  setImmediate(() => this.destroy(new Error('no network')))
  return this
}

const LINE = /gateway\.yaml:\d+:\d+/

parentPort?.on('message', (text: string) => {
  void check(text).then(checked => parentPort?.postMessage(checked))
})

async function check(text: string): Promise<Checked> {
  const startedAt = cpuMs()
  try {
    const { config, problems } = parseGatewayFile(text, 'gateway.yaml', {})
    const ms = cpuMs() - startedAt
    const nowhere = problems.find(({ where, problem }) => !LINE.test(where) && problem !== '')
    const withoutLine = nowhere === undefined ? undefined : `names no line: ${nowhere.where}: ${nowhere.problem}`
    const silent = config === undefined && problems.length === 0 ? 'refused without a problem' : undefined
    if (config !== undefined) await build(config)
    return { accepted: config !== undefined, fault: withoutLine ?? silent, ms }
  } catch (error) {
    return { accepted: false, fault: String((error as Error).stack), ms: cpuMs() - startedAt }
  }
}

function cpuMs(): number {
  // Node 22 knows only the whole process.
  const { user, system } = Reflect.has(process, 'threadCpuUsage') ? process.threadCpuUsage() : process.cpuUsage()
  return (user + system) / 1_000
}

async function build(config: NonNullable<ReturnType<typeof parseGatewayFile>['config']>): Promise<void> {
  const log = pino({ level: 'silent' })
  const gateway: Gateway = createGateway({
    config,
    replicas: 1,
    redis: undefined,
    log,
    observer: new Observer({
      metrics: new RequestMetrics(),
      recent: new RecentRequests(),
      samples: new RequestSamples({ slowMs: 1_000 }),
      logAccess: () => undefined,
      serverTelemetry: new SilentServerTelemetry(),
      clientTelemetry: new OwnClientTelemetry(),
    }),
    scrape: (_request, response) => void response.end(),
    mayScrape: () => true,
    isDraining: () => false,
  })
  await gateway.close()
}
