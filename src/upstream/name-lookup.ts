import dns, { type LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { errorCode, toError } from '../errors/error-code'

export interface NameLookupOptions {
  readonly name: string
  /** From one look-up to the next while they succeed. */
  readonly intervalMs: number
  /** After every look-up. */
  readonly onResult: (isResolved: boolean) => void
  /** Called when look-ups begin to fail, and when they succeed again. */
  readonly onChange: () => void
}

/** From one look-up to the next while they fail. */
const RETRY_MS = 1_000
/** Connections that wait for the first answer. Each gives up after its own timeout, but its place is free only then. */
const MOST_WAITING = 1_000

type Callback = Parameters<LookupFunction>[2]

/**
 * The addresses of a target that is a name, looked up in the background: neither a slow nor a failing name server holds a
 * request. While look-ups fail the last addresses stay in use, however long that takes: they are the best that is known,
 * and connections and health checks show whether they still serve. One look-up at a time: each takes a thread of the few
 * that Node has for files and names.
 */
export class NameLookup {
  /** Why the last look-up failed; undefined when it succeeded or there was none. */
  lastFailure: string | undefined
  readonly #options: NameLookupOptions
  #addresses: readonly LookupAddress[] = []
  /** Where the next connection begins: those of one name share the load. */
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

  /** For `net.connect`, which tries further addresses when the first one does not answer. */
  readonly lookup: LookupFunction = (_name, { all }, callback) => {
    const isAll = all === true
    if (this.#addresses.length > 0) return answer(this.#inTurn(), isAll, callback)
    if (this.#waiting.length >= MOST_WAITING) return callback(unresolved(this.#options.name), '')
    this.#waiting.push({ isAll, callback })
    this.#lookUp()
  }

  /** A connection failed: the name may have moved. */
  refresh(): void {
    if (performance.now() - this.#lookedUpAt > Math.min(RETRY_MS, this.#options.intervalMs)) this.#lookUp()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #inTurn(): readonly LookupAddress[] {
    const addresses = this.#addresses
    // Of two families the resolver has put the better one first.
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
