import { setTimeout as delay } from 'node:timers/promises'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { Client, type Dispatcher } from 'undici'
import type { DiscoveryConfig, KubernetesConfig } from '../../../config/types'
import type { KubernetesSource } from '../../../config/values/target-source'
import { errorCode, toError } from '../../../errors/error-code'
import { credentialsFolder, ownNamespace, readAccess, type ClusterAccess } from './cluster-access'
import { readSlice, targetsOf, type FoundTargets, type Slice } from './endpoint-slices'
import { linesOf } from './watched-lines'

/** Pause after the first failure, unless `refresh` is shorter; each further one doubles it. */
const RETRY_MS = 1_000
/** Longest pause, as a multiple of the first. */
const MAX_BACKOFF = 30
/** Slices of one page of a list, so that no answer blocks the event loop for long; and pages of a list. */
const PAGE_SLICES = 20
const MAX_PAGES = 10
/** Maximum bytes of a page and of an event. etcd takes no object above 1.5 MiB. */
const MAX_BYTES = 2_097_152
const MAX_ERROR_BYTES = 65_536
const ANSWER_TIMEOUT_MS = 5_000
/**
 * How long the API server is asked to keep a watch open, plus up to half of it at random. Short, because a connection that
 * was cut without a word is noticed when its watch does not end in time, and a new token is used for the next watch.
 */
const WATCH_S = 60
const WATCH_GRACE_MS = 15_000
/**
 * Statuses after which a list comes next: the version may be the cause. After others the watch is tried again, because a list
 * that succeeds would end an outage that goes on, such as that of a Role with `list` and without `watch`.
 */
const BAD_VERSION: ReadonlySet<number> = new Set([400, 404, 410, 504])
const API = '/apis/discovery.k8s.io/v1'

export interface EndpointWatchOptions {
  readonly source: KubernetesSource
  readonly config: DiscoveryConfig
  /** Called with each answer, also if it is the one before. */
  readonly onFound: (found: FoundTargets) => void
  /** Called with each failure. */
  readonly onFailure: (failure: string) => void
}

/** The API server no longer knows the version that a watch should begin at. */
class Gone extends Error {}

/**
 * Follows the EndpointSlices of one Service: a list, and then a watch that reports each change. It uses one connection.
 *
 * Written here and not taken from `@kubernetes/client-node`, which is generated code for all resources with 16 dependencies,
 * OpenID Connect, WebSockets, SOCKS and tar among them. These are two GET requests, and undici is here already.
 */
export class EndpointWatch {
  /** Resolves after the first answer or failure. */
  readonly looked: Promise<void>
  readonly #options: EndpointWatchOptions
  readonly #access: KubernetesConfig
  readonly #closing = new AbortController()
  readonly #retryMs: number
  #client: Client | undefined
  #ca: string | undefined
  #namespace: string
  /** By name. At most `PAGE_SLICES` × `MAX_PAGES`. */
  #slices = new Map<string, Slice>()
  /** The version that the next watch begins at; undefined: a list comes first. */
  #version: string | undefined
  #failures = 0
  #noteLooked: () => void = () => {}

  constructor(options: EndpointWatchOptions) {
    this.#options = options
    this.#access = options.config.kubernetes ?? {}
    this.#namespace = options.source.namespace ?? ''
    this.#retryMs = Math.min(RETRY_MS, options.config.refreshMs)
    this.looked = new Promise(resolve => (this.#noteLooked = resolve))
    // Outside of any trace: the requests belong to no exchange.
    void context.with(ROOT_CONTEXT, () => this.#follow())
  }

  stop(): void {
    this.#closing.abort()
    void this.#client?.destroy().catch(() => {})
    this.#noteLooked()
  }

  /** Never rejects, and ends with `stop`. */
  async #follow(): Promise<void> {
    while (!this.#isStopped) {
      const beganAt = performance.now()
      let pauseMs = this.#retryMs
      try {
        if (this.#version === undefined) {
          await this.#list()
          pauseMs = 0
        } else {
          await this.#watch(this.#version)
        }
      } catch (error) {
        if (this.#isStopped) return
        if (error instanceof Gone) this.#version = undefined
        else pauseMs = this.#failed(toError(error))
      }
      this.#noteLooked()
      // A watch of ordinary length is followed by the next at once.
      const waitMs = pauseMs - (this.#failures > 0 ? 0 : performance.now() - beganAt)
      if (waitMs > 0) await this.#pause(waitMs)
    }
  }

  get #isStopped(): boolean {
    return this.#closing.signal.aborted
  }

  /** @returns how long to wait before the next try */
  #failed(error: Error): number {
    const backoff = Math.min(2 ** this.#failures, MAX_BACKOFF)
    this.#failures = Math.min(this.#failures + 1, MAX_BACKOFF)
    this.#options.onFailure(failureText(error))
    // Replicas that lost the same API server do not come back in the same moment.
    return this.#retryMs * backoff * (0.75 + Math.random() / 2)
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#closing.signal, ref: false }).catch(() => {})
  }

  async #list(): Promise<void> {
    this.#namespace = this.#options.source.namespace ?? (await ownNamespace(this.#access))
    const slices = new Map<string, Slice>()
    let version = ''
    let more = ''
    for (let page = 0; page === 0 || more !== ''; page++) {
      if (page >= MAX_PAGES) throw new Error(`the Service has more than ${PAGE_SLICES * MAX_PAGES} EndpointSlices`)
      const { body } = await this.#get('list', { limit: String(PAGE_SLICES), ...(more !== '' && { continue: more }) })
      const list = JSON.parse(await textOf(body, MAX_BYTES)) as {
        metadata?: { resourceVersion?: string; continue?: string }
        items?: readonly unknown[]
      }
      version ||= list.metadata?.resourceVersion ?? ''
      more = list.metadata?.continue ?? ''
      for (const item of list.items ?? []) {
        const slice = readSlice(item)
        if (slice !== undefined) slices.set(slice.name, slice)
      }
    }
    if (version === '') throw new Error('the answer of the API server is not a list')
    this.#slices = slices
    this.#version = version
    this.#report()
  }

  /** Ends with the watch: after its time, or when the connection breaks. */
  async #watch(version: string): Promise<void> {
    const seconds = Math.round(WATCH_S * (1 + Math.random() / 2))
    const { body } = await this.#get(
      'watch',
      { watch: 'true', resourceVersion: version, allowWatchBookmarks: 'true', timeoutSeconds: String(seconds) },
      seconds * 1_000 + WATCH_GRACE_MS,
    )
    // It answers again; the slices are those of before until an event says otherwise.
    this.#report()
    try {
      for await (const lines of linesOf(body, MAX_BYTES)) {
        const isChanged = lines.map(line => this.#apply(line)).includes(true)
        if (isChanged) this.#report()
      }
    } catch (error) {
      // A broken connection is no failure yet: the next watch goes on where this one ended.
      if (error instanceof Gone || error instanceof BadEvent || error instanceof RangeError) {
        this.#version = undefined
        throw error
      }
    }
  }

  /** Applies an event. @returns whether a slice changed */
  #apply(line: string): boolean {
    const { type, object } = parseEvent(line)
    if (type === 'ERROR') {
      const { code, message } = object as { code?: number; message?: string }
      if (code === 410) throw new Gone()
      throw new BadEvent(`the watch ended with ${code}: ${shortened(message)}`)
    }
    const version = object.metadata?.resourceVersion
    if (typeof version === 'string') this.#version = version
    if (type === 'BOOKMARK') return false
    const slice = readSlice(object)
    if (slice === undefined) return false
    if (type === 'DELETED') return this.#slices.delete(slice.name)
    if (this.#slices.size >= PAGE_SLICES * MAX_PAGES && !this.#slices.has(slice.name)) {
      throw new BadEvent(`the Service has more than ${PAGE_SLICES * MAX_PAGES} EndpointSlices`)
    }
    this.#slices.set(slice.name, slice)
    return true
  }

  #report(): void {
    if (this.#isStopped) return
    this.#failures = 0
    this.#options.onFound(targetsOf([...this.#slices.values()], this.#options.source, this.#namespace))
  }

  /** @throws Error unless the API server answers with 200 */
  async #get(
    verb: 'list' | 'watch',
    query: Readonly<Record<string, string>>,
    maxSilenceMs = ANSWER_TIMEOUT_MS,
  ): Promise<Dispatcher.ResponseData> {
    const { service } = this.#options.source
    const access = await readAccess(this.#access)
    const labelSelector = `kubernetes.io/service-name=${service}`
    const search = new URLSearchParams({ labelSelector, ...query }).toString()
    const path = `${API}/namespaces/${encodeURIComponent(this.#namespace)}/endpointslices?${search}`
    const response = await this.#clientFor(access).request({
      method: 'GET',
      path,
      headers: {
        accept: 'application/json',
        'user-agent': 'myesi-gateway',
        ...(access.token !== undefined && { authorization: `Bearer ${access.token}` }),
      },
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: maxSilenceMs,
      signal: this.#closing.signal,
    })
    if (response.statusCode === 200) return response
    if (BAD_VERSION.has(response.statusCode)) this.#version = undefined
    throw await this.#refusal(verb, response)
  }

  async #refusal(verb: string, { statusCode, body }: Dispatcher.ResponseData): Promise<Error> {
    const message = messageIn(await textOf(body, MAX_ERROR_BYTES).catch(() => ''))
    if (statusCode === 410) return new Gone()
    if (statusCode === 401) {
      return new Error(`401: the API server does not accept the token in ${credentialsFolder(this.#access)}`)
    }
    if (statusCode === 403) {
      const who = /User "([^"]{1,300})"/.exec(message)?.[1] ?? 'the ServiceAccount of the gateway'
      return new Error(
        `403: ${who} may not ${verb} endpointslices in namespace ${this.#namespace}: it needs a Role with get, list and watch on endpointslices in the API group discovery.k8s.io`,
      )
    }
    return new Error(`${statusCode}: ${shortened(message)}`)
  }

  #clientFor({ server, ca }: ClusterAccess): Client {
    if (this.#client !== undefined && ca === this.#ca) return this.#client
    void this.#client?.destroy().catch(() => {})
    this.#ca = ca
    this.#client = new Client(server, {
      pipelining: 1,
      connect: { timeout: ANSWER_TIMEOUT_MS, ...(ca !== undefined && { ca }) },
    })
    return this.#client
  }
}

/** An event that cannot be applied: a list comes next. */
class BadEvent extends Error {}

interface WatchEvent {
  readonly type: unknown
  readonly object: { readonly metadata?: { readonly resourceVersion?: unknown } }
}

function parseEvent(line: string): WatchEvent {
  try {
    const { type, object } = JSON.parse(line) as Partial<WatchEvent>
    if (typeof object === 'object' && object !== null) return { type, object }
  } catch {
    // Told apart from a broken connection below.
  }
  throw new BadEvent('an event of the watch is not JSON')
}

/** @throws RangeError if there are more than `maxBytes` */
async function textOf(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new RangeError(`the answer of the API server has more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The message of a `Status` object. */
function messageIn(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    if (typeof message === 'string') return message
  } catch {
    // Something between the gateway and the API server answered.
  }
  return text
}

function shortened(text = ''): string {
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}

function failureText(error: Error): string {
  const code = errorCode(error)
  return code === undefined ? error.message : `the API server does not answer (${code})`
}
