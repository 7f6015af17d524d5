import dns, { type LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { errorCode, toError } from '../errors/error-code'

export interface NameLookupOptions {
  readonly name: string
  /** Interval between look-ups while they succeed. */
  readonly intervalMs: number
  /** Called after every look-up. */
  readonly onResult: (isResolved: boolean) => void
  /** Called when look-ups begin to fail, and when they succeed again. */
  readonly onChange: () => void
}

/** Interval between look-ups while they fail. */
const RETRY_MS = 1_000
/** Maximum number of connections that wait for the first look-up. */
const MOST_WAITING = 1_000

type Callback = Parameters<LookupFunction>[2]

/**
 * Looks up the addresses of a target in the background, so that a slow or failing name server does not delay requests.
 * While look-ups fail, the last addresses stay in use without a time limit; connections and health checks show whether
 * they still work. One look-up runs at a time, because each occupies one of Node's few threads for files and names.
 */
export class NameLookup {
  /** Why the last look-up failed; undefined when it succeeded or there was none. */
  lastFailure: string | undefined
  readonly #options: NameLookupOptions
  #addresses: readonly LookupAddress[] = []
  /** Rotates the first address of each connection, so that the addresses of one name share the load. */
  #turn = 0
  readonly #waiting: { isAll: boolean; callback: Callback }[] = []
  #isLookingUp = false
  #lookedUpAt = -Infinity
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(options: NameLookupOptions) {
    this.#options = options
    this.#lookUp()
  }

  get addresses(): readonly string[] {
    return this.#addresses.map(({ address }) => address)
  }

  /** Implements `lookup` of `net.connect`, which tries further addresses when the first does not answer. */
  readonly lookup: LookupFunction = (_name, { all }, callback) => {
    const isAll = all === true
    if (this.#addresses.length > 0) return answer(this.#inTurn(), isAll, callback)
    if (this.#waiting.length >= MOST_WAITING) return callback(unresolved(this.#options.name), '')
    this.#waiting.push({ isAll, callback })
    this.#lookUp()
  }

  /** Looks up the name again after a connection failed, because its addresses may have changed. */
  refresh(): void {
    if (performance.now() - this.#lookedUpAt > Math.min(RETRY_MS, this.#options.intervalMs)) this.#lookUp()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #inTurn(): readonly LookupAddress[] {
    const addresses = this.#addresses
    // With both address families, the order of the resolver is kept.
    if (addresses.length === 1 || addresses.some(({ family }) => family !== addresses[0]?.family)) return addresses
    const first = this.#turn++ % addresses.length
    return [...addresses.slice(first), ...addresses.slice(0, first)]
  }

  #lookUp(): void {
    if (this.#isLookingUp) return
    this.#isLookingUp = true
    clearTimeout(this.#timer)
    context.with(ROOT_CONTEXT, () => {
      dns.lookup(this.#options.name, { all: true }, (error, addresses) => this.#onAnswer(error, addresses))
    })
  }

  #onAnswer(error: Error | null, addresses: readonly LookupAddress[]): void {
    this.#isLookingUp = false
    this.#lookedUpAt = performance.now()
    const wasFailing = this.lastFailure !== undefined
    const isResolved = error === null && addresses.length > 0
    if (isResolved) this.#addresses = addresses
    this.lastFailure = isResolved ? undefined : (errorCode(error) ?? toError(error ?? 'no address').message)
    for (const { isAll, callback } of this.#waiting.splice(0)) {
      if (this.#addresses.length > 0) answer(this.#inTurn(), isAll, callback)
      else callback(error ?? unresolved(this.#options.name), '')
    }
    if (this.#isStopped) return
    this.#options.onResult(isResolved)
    if (wasFailing === isResolved) this.#options.onChange()
    const { intervalMs } = this.#options
    const nextMs = isResolved ? intervalMs : Math.min(RETRY_MS, intervalMs)
    this.#timer = context.with(ROOT_CONTEXT, () => setTimeout(() => this.#lookUp(), nextMs).unref())
  }
}

function answer(addresses: readonly LookupAddress[], isAll: boolean, callback: Callback): void {
  const [first] = addresses
  if (isAll) callback(null, [...addresses])
  else callback(null, first?.address ?? '', first?.family)
}

function unresolved(name: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`no address of ${name} is known`), { code: 'EAI_AGAIN' })
}
