import type { GatewayConfig } from '../config/gateway-config'
import type { DiscoveryConfig, UpstreamConfig } from '../config/types'
import { sourceText, type TargetSource } from '../config/values/target-source'
import { toError } from '../errors/error-code'
import { rememberSamePolicies } from '../policies/policies-of'
import type { Logger } from '../telemetry/logger'
import { countDiscovery, observeDiscovery, stopObservingDiscovery } from '../upstream/discovery/discovery-metrics'
import { FollowedSource } from '../upstream/discovery/followed-source'
import type { SourceState } from '../upstream/discovery/source-state'

/** Maximum time that a start or a reload waits for the first answers. */
const FIRST_ANSWERS_MS = 2_000
/** Minimum time between two changes of the targets in use: each builds the routes anew. Changes meanwhile are made together. */
const CHANGE_EVERY_MS = 1_000

export interface TargetDiscoveryOptions {
  readonly log: Logger
  /** Called when a source of the active configuration has other targets. @throws if they cannot be used */
  readonly onChange: () => void
  /** How often files are looked at, and the minimum time between two changes. Default: a second. */
  readonly lookEveryMs?: number | undefined
}

/**
 * Finds the targets of upstreams: by DNS, in Kubernetes and in files. A change makes a new snapshot of the same configuration, in which
 * each target that stays is the same object, with its connections and its health; removed targets finish their requests.
 */
export class TargetDiscovery {
  readonly #options: TargetDiscoveryOptions
  /** The sources of the active configuration, by key. At most as many as it names. */
  #followed = new Map<string, FollowedSource>()
  /** Sources of a configuration that may become the active one. */
  #prepared = new Map<string, FollowedSource>()
  #timer: NodeJS.Timeout | undefined
  #changedAt = -Infinity
  #isStopped = false

  constructor(options: TargetDiscoveryOptions) {
    this.#options = options
  }

  /**
   * Waits for the first answers of the sources of a configuration, for a bounded time. Without it, a start or a reload is
   * followed by a moment without targets.
   */
  async prepare(config: GatewayConfig): Promise<void> {
    this.#dropPrepared()
    this.#begin(config)
    const sources = keyedSources(config).flatMap(({ key }) => this.#find(key) ?? [])
    if (sources.length === 0) return
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<void>(resolve => (timer = setTimeout(resolve, FIRST_ANSWERS_MS)))
    await Promise.race([timeout, Promise.all(sources.map(({ looked }) => looked))])
    clearTimeout(timer)
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#change()
  }

  /** Follows the sources of a configuration that becomes the active one; the others are let go. */
  follow(config: GatewayConfig): void {
    this.#begin(config)
    const before = this.#followed
    this.#followed = new Map(
      keyedSources(config).map(({ key }): [string, FollowedSource] => [key, this.#find(key) as FollowedSource]),
    )
    const used = new Set(this.#followed.values())
    for (const source of before.values()) if (!used.has(source)) source.stop()
    this.#dropPrepared()
    stopObservingDiscovery(this)
    if (this.#followed.size > 0) observeDiscovery(this)
  }

  /** Returns the configuration with the targets that are known now. */
  applyTo(config: GatewayConfig): GatewayConfig {
    if (config.upstreams.every(({ discovery }) => discovery === undefined)) return config
    this.#begin(config)
    const upstreams = Object.freeze(config.upstreams.map(upstream => this.#withTargets(upstream)))
    const applied = Object.freeze({ ...config, upstreams })
    rememberSamePolicies(applied, config)
    return applied
  }

  /** The state of the sources of an upstream; undefined for an upstream without sources. */
  stateOf(upstream: string): SourceState[] | undefined {
    const sources = [...this.#followed.values()].filter(source => source.upstream === upstream)
    if (sources.length === 0) return undefined
    return sources.map(({ source, targets, lastFailure }) => ({
      source: sourceText(source),
      targets: targets.length,
      lastFailure: lastFailure ?? null,
    }))
  }

  /** The sources in use, for metrics. */
  get sources(): Iterable<FollowedSource> {
    return this.#followed.values()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    for (const source of this.#followed.values()) source.stop()
    this.#dropPrepared()
    stopObservingDiscovery(this)
  }

  /** Looks at the sources of a configuration that are not looked at yet. */
  #begin(config: GatewayConfig): void {
    for (const { key, upstream, discovery, source } of keyedSources(config)) {
      const known = this.#find(key)
      // The check of the configuration has just accepted the content of the file.
      const isStale = source.kind === 'file' && known?.lastFailure !== undefined
      if (known !== undefined && !(isStale && !this.#prepared.has(key))) continue
      const followed = new FollowedSource({
        upstream,
        source,
        config: discovery,
        files: config.files,
        lookEveryMs: this.#options.lookEveryMs,
        onTargets: found => this.#changed(found),
        onResult: looked => this.#noteResult(looked),
      })
      this.#prepared.set(key, followed)
    }
  }

  #dropPrepared(): void {
    const used = new Set(this.#followed.values())
    for (const source of this.#prepared.values()) if (!used.has(source)) source.stop()
    this.#prepared.clear()
  }

  #withTargets(upstream: UpstreamConfig): UpstreamConfig {
    const { name, discovery, targets } = upstream
    if (discovery === undefined) return upstream
    const found = discovery.sources.flatMap(source => this.#find(keyOf(name, source, discovery))?.targets ?? [])
    // A target that is written, or that an earlier source has, counts once.
    const byOrigin = new Map([...targets, ...found].toReversed().map(target => [target.origin, target]))
    return Object.freeze({ ...upstream, targets: Object.freeze([...byOrigin.values()].toReversed()) })
  }

  #find(key: string): FollowedSource | undefined {
    return this.#prepared.get(key) ?? this.#followed.get(key)
  }

  #changed(source: FollowedSource): void {
    const { upstream, targets } = source
    countDiscovery(source, 'changed')
    this.#options.log.info(
      { ...lineOf(source), targets: targets.map(({ origin }) => origin) },
      `targets of upstream ${upstream} changed`,
    )
    if (![...this.#followed.values()].includes(source)) return
    const { lookEveryMs: everyMs = CHANGE_EVERY_MS } = this.#options
    const waitMs = Math.max(0, this.#changedAt + everyMs - performance.now())
    this.#timer ??= setTimeout(() => this.#change(), waitMs).unref()
  }

  #change(): void {
    this.#timer = undefined
    this.#changedAt = performance.now()
    if (this.#isStopped) return
    try {
      this.#options.onChange()
    } catch (error) {
      const line = { event: 'upstream', error: { message: toError(error).message } }
      this.#options.log.error(line, 'discovered targets could not be used; the targets before stay')
    }
  }

  #noteResult(source: FollowedSource): void {
    const { log } = this.#options
    const { lastFailure, targets, upstream } = source
    if (lastFailure === undefined) return log.info(lineOf(source), `targets of upstream ${upstream} are found again`)
    countDiscovery(source, 'failed')
    const kept = targets.length === 0 ? 'there are none' : 'those before stay'
    log.warn({ ...lineOf(source), failure: lastFailure }, `targets of upstream ${upstream} cannot be found: ${kept}`)
  }
}

interface KeyedSource {
  readonly key: string
  readonly upstream: string
  readonly discovery: DiscoveryConfig
  readonly source: TargetSource
}

function keyedSources({ upstreams }: GatewayConfig): KeyedSource[] {
  return upstreams.flatMap(({ name, discovery }) =>
    (discovery?.sources ?? []).map(source => ({
      key: keyOf(name, source, discovery as DiscoveryConfig),
      upstream: name,
      discovery: discovery as DiscoveryConfig,
      source,
    })),
  )
}

function keyOf(upstream: string, source: TargetSource, { resolvers, refreshMs, kubernetes }: DiscoveryConfig): string {
  return JSON.stringify([upstream, source, resolvers ?? null, refreshMs, kubernetes ?? null])
}

function lineOf({ upstream, source }: FollowedSource): object {
  return { event: 'upstream', upstream, source: sourceText(source) }
}
