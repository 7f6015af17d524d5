import type { Counter } from '@opentelemetry/api'
import { changesBetween } from '../config/changes'
import type { ReadGatewayFile } from '../config/gateway-file'
import { hasErrors, isError } from '../config/problems'
import type { ConfigProblem } from '../config/types'
import type { GatewayConfig } from '../config/gateway-config'
import { toError } from '../errors/error-code'
import { gatewayMeter } from '../telemetry/scope'
import {
  ATTR_CONFIG_RESULT,
  ATTR_SLO_HASH,
  METRIC_CONFIG_INFO,
  METRIC_CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP,
  METRIC_CONFIG_LAST_RELOAD_SUCCESSFUL,
  METRIC_CONFIG_RELOADS,
  METRIC_SLO_INFO,
} from '../telemetry/semconv'
import { objectivesHash, objectivesIn } from '../slo/objectives'
import type { Logger } from '../telemetry/logger'

export interface ConfigurationOptions {
  /** Configuration at the start of the process. */
  readonly config: GatewayConfig
  readonly written: unknown
  readonly read: () => Promise<ReadGatewayFile>
  /** @returns changes that take effect only after a restart, one sentence each. @throws if it cannot be applied */
  readonly apply: (config: GatewayConfig) => readonly string[] | Promise<readonly string[]>
  readonly log: Logger
}

/** One reload. */
export interface Reload {
  readonly atMs: number
  readonly isRefused: boolean
  /** What it changed, or why it was refused: one sentence each. */
  readonly details: readonly string[]
}

/** Maximum remembered reloads, and sentences of each. */
const MAX_RELOADS = 20
const MAX_DETAILS = 10

/** State of the configuration for pages. Times in milliseconds since the epoch. */
export interface ConfigurationReport {
  readonly config: GatewayConfig
  readonly sinceMs: number
  /** Undefined before the first reload. */
  readonly lastReload: Reload | undefined
  /** The recent reloads, oldest first. */
  readonly reloads: readonly Reload[]
  /** Changes that take effect only after a restart, one sentence each. */
  readonly needRestart: readonly string[]
}

/** The active configuration. A reload checks a new one first and replaces it as a whole or not at all. */
export class Configuration {
  readonly #options: ConfigurationOptions
  readonly #reloads: Counter
  #config: GatewayConfig
  #written: unknown
  #wasSuccessful = true
  #reloading: Promise<unknown> = Promise.resolve()
  #isClosed = false
  /** Seconds since 1970. */
  #successAt = Date.now() / 1_000
  #recent: readonly Reload[] = []
  #needRestart: readonly string[] = []
  /** Undefined without objectives. */
  #sloHash: string | undefined

  constructor(options: ConfigurationOptions) {
    this.#options = options
    this.#config = options.config
    this.#written = options.written
    this.#sloHash = hashOf(options.config)
    this.#reloads = this.#createInstruments()
  }

  report(): ConfigurationReport {
    return {
      config: this.#config,
      sinceMs: this.#successAt * 1_000,
      lastReload: this.#recent.at(-1),
      reloads: this.#recent,
      needRestart: this.#needRestart,
    }
  }

  /**
   * Reads the file and makes it the active configuration; an invalid file changes nothing. Reloads run one at a time, in the
   * order of the calls.
   *
   * @param cause trigger of the reload, for the log
   * @returns what was read; undefined if reloads have stopped
   */
  async reload(cause: string): Promise<ReadGatewayFile | undefined> {
    const reloading = this.#reloading.then(async () => {
      if (this.#isClosed) return undefined
      const read = await this.#options.read()
      // `close()` may have been called while the file was read.
      if (!this.#isClosed) await this.#take(read, cause)
      return read
    })
    this.#reloading = reloading
    return reloading
  }

  /** Stops reloads. */
  close(): void {
    this.#isClosed = true
  }

  async #take({ config, written, problems }: ReadGatewayFile, cause: string): Promise<void> {
    const { apply, log } = this.#options
    if (config === undefined || hasErrors(problems)) return this.#refuse(cause, problems)
    try {
      const changes = changesBetween(this.#written, written)
      const needRestart = await apply(config)
      this.#config = config
      this.#needRestart = needRestart
      this.#sloHash = hashOf(config)
      this.#written = written
      this.#wasSuccessful = true
      const atMs = Date.now()
      this.#successAt = atMs / 1_000
      this.#remember({ atMs, isRefused: false, details: changes })
      this.#reloads.add(1, { [ATTR_CONFIG_RESULT]: 'success' })
      for (const problem of problems) logProblem(log, problem)
      for (const change of changes) log.info({ event: 'config' }, change)
      for (const sentence of needRestart) log.warn({ event: 'config' }, sentence)
      const line = { event: 'config', result: 'success', cause, changes: changes.length, sha256: config.sha256 }
      const but = needRestart.length > 0 ? ', except settings that need a restart' : ''
      log.info(line, `new configuration is active${but}`)
    } catch (error) {
      this.#refuse(cause, [{ where: 'gateway', problem: toError(error).message }])
    }
  }

  #refuse(cause: string, problems: readonly ConfigProblem[]): void {
    const { log } = this.#options
    this.#wasSuccessful = false
    this.#remember({ atMs: Date.now(), isRefused: true, details: problems.filter(isError).map(inWords) })
    this.#reloads.add(1, { [ATTR_CONFIG_RESULT]: 'refused' })
    for (const problem of problems) logProblem(log, problem)
    const errors = problems.filter(isError).length
    const line = { event: 'config', result: 'refused', cause, problems: errors, sha256: this.#config.sha256 }
    log.error(line, 'new configuration refused; the previous one stays active')
  }

  #remember({ details, ...reload }: Reload): void {
    const shortened = details.slice(0, MAX_DETAILS)
    this.#recent = [...this.#recent, { ...reload, details: shortened }].slice(-MAX_RELOADS)
  }

  #createInstruments(): Counter {
    const meter = gatewayMeter()
    meter
      .createObservableGauge(METRIC_CONFIG_INFO, { description: 'Checksum of the active configuration' })
      .addCallback(result => result.observe(1, { sha256: this.#config.sha256 }))
    meter
      .createObservableGauge(METRIC_SLO_INFO, { description: 'Checksum of the active service level objectives' })
      .addCallback(result => {
        if (this.#sloHash !== undefined) result.observe(1, { [ATTR_SLO_HASH]: this.#sloHash })
      })
    meter
      .createObservableGauge(METRIC_CONFIG_LAST_RELOAD_SUCCESSFUL, {
        description: '1 if the last configuration file read is active, 0 if it was refused',
      })
      .addCallback(result => result.observe(this.#wasSuccessful ? 1 : 0))
    meter
      .createObservableGauge(METRIC_CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP, {
        unit: 's',
        description: 'Unix time at which the active configuration was read',
      })
      .addCallback(result => result.observe(this.#successAt))
    const reloads = meter.createCounter(METRIC_CONFIG_RELOADS, {
      unit: '{reload}',
      description: 'Reloads of the configuration file',
    })
    // Each series starts with 0: otherwise `increase()` would miss the first refusal.
    for (const result of ['success', 'refused']) reloads.add(0, { [ATTR_CONFIG_RESULT]: result })
    return reloads
  }
}

function hashOf(config: GatewayConfig): string | undefined {
  const objectives = objectivesIn(config)
  return objectives.length === 0 ? undefined : objectivesHash(objectives)
}

function logProblem(log: Logger, problem: ConfigProblem): void {
  log[problem.severity === 'warning' ? 'warn' : 'error']({ event: 'config' }, inWords(problem))
}

function inWords({ where, problem, allowed, nearest }: ConfigProblem): string {
  const hint = [allowed && `allowed: ${allowed}`, nearest && `did you mean: ${nearest}`].filter(Boolean).join('; ')
  return `${where}: ${problem}${hint === '' ? '' : ` (${hint})`}`
}
