import { join } from 'node:path'
import type { Environment } from '../../src/config/env'
import { startComponent, type ComponentPlan } from './component'
import {
  alertmanagerPlan,
  collectorPlan,
  demoUpstreamPlan,
  gatewayPlan,
  incidentsPlan,
  prometheusPlan,
  redisExporterPlan,
  redisPlan,
  slackCatcherPlan,
  type CollectorPorts,
} from './components'
import type { CollectorBinary } from './collector'
import { startGuard } from './guard'
import { startMailCatcher, type MailCatcher } from './mail-catcher'
import type { ManagedProcess } from './managed-process'
import { writeMonitoring, type RunFolder } from './run-folder'

export interface StackPorts {
  readonly gateway: number
  readonly gatewayOps: number
  readonly demo: number
  readonly redis: number
  readonly redisExporter: number
  readonly prometheus: number
  readonly alertmanager: number
  readonly incidents: number
  readonly smtp: number
  readonly mailPage: number
  readonly slackCatcher: number
  readonly collector: CollectorPorts
}

export interface StackOptions {
  readonly ports: StackPorts
  readonly folder: RunFolder
  /** Settings of the gateway and the Collector besides addresses. */
  readonly env: Environment
  /** Undefined: the stack runs without one. */
  readonly collector: CollectorBinary | undefined
  /** Called for each program that is ready. */
  readonly onReady?: (ready: ReadyComponent) => void
}

export interface ReadyComponent {
  readonly name: string
  readonly address: string
  readonly process: ManagedProcess
  readonly afterMs: number
}

export interface Stack {
  readonly components: readonly ReadyComponent[]
  readonly mail: MailCatcher
  /** Ends all programs, the gateway first. Never throws; limited in time. */
  stop(): Promise<void>
}

/** Longer than the gateway may take for requests in flight. */
const STOP_TIMEOUT_MS = 20_000

/**
 * Starts the topology of docker-compose.yml as local processes, each once its dependencies are ready.
 *
 * @throws if a program does not start; all others are then ended
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { ports, folder, env, collector, onReady } = options
  const guard = startGuard()
  const started: ManagedProcess[] = []
  const components: ReadyComponent[] = []
  const mail = await startMailCatcher({ smtp: ports.smtp, http: ports.mailPage })

  const start = async (plan: ComponentPlan): Promise<void> => {
    const startedAt = Date.now()
    const command = { ...plan, detached: true, logFile: join(folder.logs, `${plan.name}.log`) }
    const process = await startComponent(command, child => {
      started.unshift(child)
      guard.watch(child)
    })
    const ready = { name: plan.name, address: plan.address, process, afterMs: Date.now() - startedAt }
    components.push(ready)
    onReady?.(ready)
  }
  const stop = async (): Promise<void> => {
    // In reverse order: the gateway finishes its requests while its dependencies still run.
    for (const child of started) await child.stop(STOP_TIMEOUT_MS)
    await mail.stop()
    guard.release()
  }

  try {
    writeMonitoring(folder.monitoring, { ...ports, collector: collector && ports.collector }, env)
    await start(await redisPlan(ports.redis, folder.data('redis')))
    await start(await redisExporterPlan(ports.redisExporter, ports.redis))
    await start(slackCatcherPlan(ports.slackCatcher))
    await start(await alertmanagerPlan(ports.alertmanager, folder.monitoring, folder.data('alertmanager')))
    await start(incidentsPlan(ports.incidents, ports, incidentsEnv(options)))
    await start(await prometheusPlan(ports.prometheus, folder.monitoring, folder.data('prometheus')))
    if (collector !== undefined) await start(collectorPlan(collector, ports.collector, folder.data('collector'), env))
    await start(demoUpstreamPlan(ports.demo))
    await start(gatewayPlan(ports.gateway, ports.gatewayOps, gatewayEnv(options)))
  } catch (error) {
    await stop()
    throw error
  }
  return { components, mail, stop }
}

function incidentsEnv({ ports, env }: StackOptions): Environment {
  return { ...env, REDIS_URL: `redis://127.0.0.1:${ports.redis}` }
}

/** The gateway's environment. The user's settings override it, except addresses. */
function gatewayEnv({ ports, env, collector }: StackOptions): Environment {
  return {
    ...(collector && { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${ports.collector.http}` }),
    DEMO_UPSTREAM_URL: `http://127.0.0.1:${ports.demo}`,
    INCIDENT_PUBLIC_URL: `http://127.0.0.1:${ports.incidents}`,
    ...env,
    REDIS_URL: `redis://127.0.0.1:${ports.redis}`,
  }
}
