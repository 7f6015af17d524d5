import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Server } from 'node:net'
import { EXIT_OS_ERROR } from '../config/exit-codes'
import type { GatewayConfig } from '../config/gateway-config'
import type { GatewayFileContent, ReadGatewayFile } from '../config/gateway-file'
import type { Settings } from '../config/types'
import { watchFile, type WatchedFile } from '../config/watched-file'
import { createOpsServer, type OpsServerOptions } from '../operations/ops-server'
import type { TelemetryPipeline } from '../operations/status/status'
import type { PolicyFile } from '../policies/own/load-policies'
import { policyFilesOf } from '../policies/policies-of'
import { exitInTime } from '../process/exit'
import { listenOnAll, type Ports } from '../process/listen'
import { needingRestart } from '../runtime/needing-restart'
import { Configuration } from '../runtime/reload'
import type { Logger } from '../telemetry/logger'
import { Connections, type Port } from './connections'
import { mergedSources, questionOf, type MatchesFilter } from './merged-sources'
import type { OpsAnswer } from './ops-answers'
import { shareProblems } from './share'
import { WorkerPool } from './worker-pool'

/** How long a page or a scrape waits for a worker. Prometheus gives a scrape 10 s. */
const ASK_TIMEOUT_MS = 3_000
/** How long a worker may take to build a new configuration. */
const RELOAD_TIMEOUT_MS = 30_000
/** What a worker needs after its last request: flushing its telemetry and its log. */
const AFTER_DRAIN_MS = 6_000
const TELEMETRY_FLUSH_MS = 3_000

/** What the primary uses of the telemetry. */
export interface PrimaryTelemetry {
  readonly handleMetricsRequest: RequestListener
  readonly matchesTrace: MatchesFilter
  readonly pipelines: () => readonly TelemetryPipeline[]
  readonly ignorePort: (port: number) => void
  readonly shutdown: (timeoutMs: number) => Promise<boolean>
  readonly ofWorkers:
    | {
        addWorkers(
          ask: () => Promise<readonly { readonly worker: number; readonly pieces: readonly unknown[] | undefined }[]>,
        ): {
          keep(worker: number, pieces: readonly unknown[]): void
          end(worker: number): void
        }
        exposition(accept: string | undefined): Promise<unknown>
      }
    | undefined
}

export interface PrimaryOptions {
  readonly settings: Settings
  readonly config: GatewayConfig
  readonly written: unknown
  readonly included: readonly string[]
  readonly content: GatewayFileContent
  readonly read: () => Promise<ReadGatewayFile>
  /** Called with each server before it listens. */
  readonly onServer: (server: Server) => void
  readonly log: Logger
  readonly flush: () => Promise<void>
  readonly telemetry: PrimaryTelemetry
  readonly access: OpsServerOptions['access']
  readonly replica: OpsServerOptions['replica']
}

export interface Primary extends Ports {
  readonly reload: (cause: string) => Promise<void>
  /** Ends the workers, then this process. */
  readonly stop: (signal: string) => void
}

/**
 * Starts the workers and the ops port. The primary serves no requests: it accepts connections, hands them to the workers in
 * turn, answers the ops port for all of them, and replaces a worker that ends.
 *
 * @returns the exit code if the gateway could not start
 */
export async function startPrimary(options: PrimaryOptions): Promise<Primary | { readonly exitCode: number }> {
  const { settings, log, telemetry } = options
  let draining = false
  let isStarted = false
  let lastContent = options.content

  const metrics = telemetry.ofWorkers?.addWorkers(async () => {
    const answers = await pool.askAll('metrics', undefined, ASK_TIMEOUT_MS)
    return answers.map(({ worker, answer }) => ({ worker, pieces: answer as readonly unknown[] | undefined }))
  })
  const connections = new Connections()
  const pool = new WorkerPool({
    connections,
    count: settings.workers,
    log,
    content: options.content,
    handlers: {
      scrape: async accept => telemetry.ofWorkers?.exposition(accept as string | undefined),
      lastMetrics: (pieces, worker) => metrics?.keep(worker, pieces as readonly unknown[]),
    },
    onEnd: worker => metrics?.end(worker),
  })

  const configuration = new Configuration({
    config: options.config,
    written: options.written,
    read: async () => {
      const read = await options.read()
      if (read.config === undefined) return read
      lastContent = read.content ?? lastContent
      return { ...read, problems: [...read.problems, ...shareProblems(read.config, settings)] }
    },
    apply: async next => {
      await pool.reload(lastContent, 'primary', RELOAD_TIMEOUT_MS)
      watchPolicies(policyFilesOf(next))
      return needingRestart(options.config, next)
    },
    log,
  })

  const gather = async (path: string, url: string): Promise<Partial<OpsServerOptions>> => {
    const question = questionOf(path, url, settings.workers)
    if (question === undefined) return {}
    const answers = await pool.askAll('ops', question, ASK_TIMEOUT_MS)
    const found = answers.flatMap(({ answer }) => (answer === undefined ? [] : [answer as OpsAnswer]))
    const own: OpsAnswer = { pipelines: telemetry.pipelines() }
    return mergedSources([...found, own], telemetry.matchesTrace)
  }
  const opsServer = createOpsServer({
    ...mergedSources([], telemetry.matchesTrace),
    metrics: (request: IncomingMessage, response: ServerResponse) => telemetry.handleMetricsRequest(request, response),
    configuration: () => ({ file: settings.configFile, ...configuration.report() }),
    replica: options.replica,
    incidentsUrl: settings.incidentsUrl,
    workers: () => ({ wanted: settings.workers, restarts: pool.restarts, running: pool.states() }),
    access: options.access,
    notReady: () => (draining ? 'draining' : !isStarted || pool.listening === 0 ? 'starting' : undefined),
    gather,
  })

  const redirect = options.config.entrypoint.tls?.redirectHttp
  const serverOf = (name: Port): Server => {
    const server = connections.server(name)
    options.onServer(server)
    return server
  }
  const listening = await listenOnAll(
    opsServer,
    serverOf('gateway'),
    settings,
    port => telemetry.ignorePort(port),
    redirect && { server: serverOf('redirect'), port: redirect.port },
  )
  if ('problems' in listening) {
    process.stderr.write(`${listening.problems.join('\n')}\n`)
    return { exitCode: EXIT_OS_ERROR }
  }
  const exitCode = await pool.start()
  if (exitCode !== undefined) {
    pool.kill()
    return { exitCode }
  }
  isStarted = true

  const watched = settings.configWatch
    ? watchFile({
        path: settings.configFile,
        sha256: options.config.sha256,
        included: options.included,
        onChange: () => void reload('file'),
      })
    : undefined
  let watchedPolicies: WatchedFile[] = []
  /** Watches these modules of policies, and no others any more. */
  function watchPolicies(modules: readonly PolicyFile[]): void {
    for (const file of watchedPolicies) file.stop()
    if (!settings.configWatch) return
    watchedPolicies = modules.map(file => watchFile({ ...file, onChange: () => void reload('policy') }))
  }
  watchPolicies(policyFilesOf(options.config))

  async function reload(cause: string): Promise<void> {
    const read = await configuration.reload(cause)
    watched?.know(read?.sha256, read?.included)
    if (read?.modules !== undefined) watchPolicies(read.modules)
  }

  const stop = (signal: string): void => {
    if (draining) {
      log.warn({ event: 'shutdown', signal }, 'stopped at once after a second signal')
      pool.kill()
      return void options.flush().then(() => exitInTime(1))
    }
    draining = true
    watched?.stop()
    for (const file of watchedPolicies) file.stop()
    configuration.close()
    const delayMs = signal === 'SIGTERM' ? settings.shutdownDelayMs : 0
    log.info({ event: 'shutdown', signal, delay_ms: delayMs }, 'draining: finishing requests in flight')
    void end(delayMs, signal)
  }
  async function end(delayMs: number, signal: string): Promise<void> {
    await pool.drain({ signal }, delayMs, settings.shutdownTimeoutMs + AFTER_DRAIN_MS)
    if (!(await telemetry.shutdown(TELEMETRY_FLUSH_MS)))
      log.warn({ event: 'shutdown' }, 'the last telemetry could not be exported')
    opsServer.close()
    opsServer.closeAllConnections()
    log.info({ event: 'stopped' }, 'stopped')
    await options.flush()
    await exitInTime(0)
  }
  return { ...listening, reload, stop }
}
