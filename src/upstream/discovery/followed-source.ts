import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { digestOf } from '../../config/config-digest'
import { FILES_ON_DISK, type ConfigFiles } from '../../config/config-files'
import { readFileBounded } from '../../config/read-file'
import type { DiscoveryConfig } from '../../config/types'
import type { TargetConfig } from '../../config/values/target'
import type { TargetSource } from '../../config/values/target-source'
import { watchFile, type WatchedFile } from '../../config/watched-file'
import { errorCode, toError } from '../../errors/error-code'
import { DnsQuery } from './dns-query'
import { EndpointWatch } from './kubernetes/endpoint-watch'
import { parseTargetList } from '../../config/target-list'

/** Interval between questions while they fail, unless `refresh` is shorter. */
const RETRY_MS = 1_000
/** Shortest time that an answer is kept, whatever its time to live, unless `refresh` is shorter. */
const MIN_TTL_MS = 1_000

export interface FollowedSourceOptions {
  readonly upstream: string
  readonly source: TargetSource
  readonly config: DiscoveryConfig
  /** Content of files when the configuration was read. */
  readonly files: ConfigFiles
  /** Interval between looks at a file. */
  readonly lookEveryMs: number | undefined
  /** Called when other targets are there. */
  readonly onTargets: (source: FollowedSource) => void
  /** Called when looks begin to fail, for each bad content of a file, and when they succeed again. */
  readonly onResult: (source: FollowedSource) => void
}

/** One source of targets, looked at in the background. While looks fail, the last good list stays without a time limit. */
export class FollowedSource {
  readonly upstream: string
  readonly source: TargetSource
  targets: readonly TargetConfig[] = []
  /** Why the last look failed; undefined when it succeeded or there was none. */
  lastFailure: string | undefined
  /** Resolves after the first look. */
  readonly looked: Promise<void>
  readonly #options: FollowedSourceOptions
  readonly #query: DnsQuery | undefined
  readonly #watched: WatchedFile | undefined
  readonly #endpoints: EndpointWatch | undefined
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(options: FollowedSourceOptions) {
    const { upstream, source, config } = options
    this.upstream = upstream
    this.source = source
    this.#options = options
    if (source.kind === 'file') {
      this.#watched = this.#watch(source.path)
      this.looked = Promise.resolve()
    } else if (source.kind === 'kubernetes') {
      this.#endpoints = new EndpointWatch({
        source,
        config,
        onFound: ({ targets, problem }) => this.#found(targets, problem),
        onFailure: failure => this.#failed(failure),
      })
      this.looked = this.#endpoints.looked
    } else {
      this.#query = new DnsQuery(source, config.resolvers)
      this.looked = context.with(ROOT_CONTEXT, () => this.#ask(this.#query as DnsQuery))
    }
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#watched?.stop()
    this.#query?.cancel()
    this.#endpoints?.stop()
  }

  /** Starts with the content that the check of the configuration has accepted. */
  #watch(path: string): WatchedFile {
    const { files, lookEveryMs } = this.#options
    const content = files.read(path)
    const targets = parseTargetList(content.toString('utf8'))
    if (!Array.isArray(targets)) throw new Error(`${path} ${targets.problem}`)
    this.targets = targets
    return watchFile({
      path,
      sha256: digestOf(content, [], FILES_ON_DISK),
      onChange: () => void this.#readFile(path),
      ...(lookEveryMs !== undefined && { intervalMs: lookEveryMs, settleMs: lookEveryMs }),
    })
  }

  async #readFile(path: string): Promise<void> {
    let failure: string
    try {
      const list = parseTargetList((await readFileBounded(path)).toString('utf8'))
      if (this.#isStopped) return
      if (Array.isArray(list)) return this.#found(list)
      failure = `the file ${list.problem}`
    } catch (error) {
      failure = toError(error).message
    }
    if (this.#isStopped) return
    this.lastFailure = failure
    this.#options.onResult(this)
  }

  async #ask(query: DnsQuery): Promise<void> {
    const { refreshMs } = this.#options.config
    let nextMs = Math.min(RETRY_MS, refreshMs)
    try {
      const { targets, ttlS } = await query.ask()
      if (this.#isStopped) return
      this.#found(targets)
      nextMs = Math.min(refreshMs, Math.max(MIN_TTL_MS, ttlS * 1_000))
    } catch (error) {
      if (this.#isStopped) return
      this.#failed(errorCode(error) ?? toError(error).message)
    }
    this.#timer = setTimeout(() => void this.#ask(query), nextMs).unref()
  }

  /** Reports the first failure of an outage. */
  #failed(failure: string): void {
    const wasFailing = this.lastFailure !== undefined
    this.lastFailure = failure
    if (!wasFailing) this.#options.onResult(this)
  }

  /** @param problem why an answer has no targets; undefined if it is a good one */
  #found(targets: readonly TargetConfig[], problem?: string): void {
    const wasFailing = this.lastFailure !== undefined
    const isSame = JSON.stringify(targets) === JSON.stringify(this.targets)
    this.targets = targets
    this.lastFailure = problem
    if (wasFailing !== (problem !== undefined)) this.#options.onResult(this)
    if (!isSame) this.#options.onTargets(this)
  }
}
