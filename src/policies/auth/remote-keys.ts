import type { CryptoKey } from 'jose'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { toError } from '../../errors/error-code'
import { GatewayError } from '../../errors/gateway-error'
import type { Logger } from '../../telemetry/logger'
import { gatewayMeter } from '../../telemetry/scope'
import { ATTR_AUTH_KEY_FETCH_RESULT, METRIC_AUTH_KEY_FETCHES } from '../../telemetry/semconv'
import { jose } from '../../config/values/jose'
import { parseKeySet, type FindKey } from '../../config/values/key-set'

/** Longest time that a withdrawn key is still accepted while the issuer answers. */
const REFRESH_MS = 300_000
/** Retry intervals while the issuer does not answer: short without keys, because requests wait, long with keys. */
const RETRY_WITHOUT_KEYS_MS = 1_000
const RETRY_MS = 30_000
/** Interval between fetches for unknown keys: clients can invent key ids and must not cause load on the issuer. */
const COOL_DOWN_MS = 30_000
/** Timeout of one fetch, and of a request that waits for it. */
const TIMEOUT_MS = 3_000
const MAX_BYTES = 262_144
const JITTER = 0.1

/**
 * The public keys of an issuer, refreshed in the background so that few requests wait for them. While the issuer is
 * unavailable, the known keys stay in use, so that existing tokens remain valid.
 */
export class RemoteKeys {
  readonly #url: string
  readonly #log: Logger
  readonly #count: (result: 'fetched' | 'failed', by: 0 | 1) => void
  readonly #closing = new AbortController()
  #findKnown: FindKey | undefined
  /** The key set as fetched. */
  #text = ''
  #fetching: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  /** Whether the issuer is failing, so that the failure is logged once. */
  #isFailing = false
  /** Milliseconds on the monotonic clock. */
  #askedForUnknownAt = -Infinity

  constructor(url: string, log: Logger) {
    this.#url = url
    this.#log = log
    const fetches = gatewayMeter().createCounter(METRIC_AUTH_KEY_FETCHES, {
      description: 'Fetches of the keys of a token issuer',
      unit: '{fetch}',
    })
    const { origin, pathname } = new URL(url)
    this.#count = (result, by) => fetches.add(by, { url: origin + pathname, [ATTR_AUTH_KEY_FETCH_RESULT]: result })
    // Both series exist from the start, so that an alert sees the first failure.
    this.#count('fetched', 0)
    this.#count('failed', 0)
    void this.#refresh()
  }

  /** Finds the key of a token. @throws GatewayError `keys_unavailable` if no keys were ever fetched */
  readonly find: FindKey = async (header, token): Promise<CryptoKey> => {
    if (this.#findKnown === undefined) await this.#fetching
    const findKnown = this.#findKnown
    if (findKnown === undefined) {
      throw new GatewayError('keys_unavailable', { headers: ['Retry-After', '1'], cause: 'no keys of the issuer yet' })
    }
    try {
      return await findKnown(header, token)
    } catch (error) {
      // The token is signed with a key newer than the last fetch, or with an unknown one.
      if (!(error instanceof jose().errors.JWKSNoMatchingKey) || !(await this.#hasNewKeys(findKnown))) throw error
      return (this.#findKnown as FindKey)(header, token)
    }
  }

  get current(): FindKey | undefined {
    return this.#findKnown
  }

  close(): void {
    this.#closing.abort()
    clearTimeout(this.#timer)
  }

  async #hasNewKeys(known: FindKey): Promise<boolean> {
    const now = performance.now()
    if (now - this.#askedForUnknownAt >= COOL_DOWN_MS) {
      this.#askedForUnknownAt = now
      await this.#refresh()
    } else {
      await this.#fetching
    }
    return this.#findKnown !== known
  }

  /** Fetches the keys. Concurrent callers share one fetch. Never rejects. */
  async #refresh(): Promise<void> {
    // Outside of any trace: keys belong to no request.
    this.#fetching ??= context.with(ROOT_CONTEXT, async () => this.#fetch())
    await this.#fetching
  }

  async #fetch(): Promise<void> {
    clearTimeout(this.#timer)
    try {
      const text = await download(this.#url, this.#closing.signal)
      // Unchanged keys are not imported again, and the tokens verified with them stay remembered.
      if (text !== this.#text || this.#findKnown === undefined) this.#findKnown = parseKeySet(text)
      this.#text = text
      if (this.#isFailing) this.#log.info({ event: 'token_keys', url: this.#url }, 'token keys are available again')
      this.#isFailing = false
      this.#count('fetched', 1)
    } catch (error) {
      if (this.#closing.signal.aborted) return
      this.#count('failed', 1)
      const reason = reasonOf(error)
      const inUse = this.#findKnown === undefined ? 'none' : 'the last ones'
      if (!this.#isFailing)
        this.#log.warn({ event: 'token_keys', url: this.#url, reason, keys: inUse }, 'token keys cannot be fetched')
      this.#isFailing = true
    } finally {
      this.#fetching = undefined
      this.#wait()
    }
  }

  #wait(): void {
    if (this.#closing.signal.aborted) return
    const retryMs = this.#findKnown === undefined ? RETRY_WITHOUT_KEYS_MS : RETRY_MS
    const ms = (this.#isFailing ? retryMs : REFRESH_MS) * (1 - JITTER + 2 * JITTER * Math.random())
    this.#timer = setTimeout(() => void this.#refresh(), ms).unref()
  }
}

/** Downloads a key set. @throws Error unless it arrives in time, complete, with status 200 and without redirects */
async function download(url: string, closing: AbortSignal): Promise<string> {
  const response = await fetch(url, {
    headers: { accept: 'application/jwk-set+json, application/json', 'user-agent': 'myesi-gateway' },
    redirect: 'error',
    signal: AbortSignal.any([closing, AbortSignal.timeout(TIMEOUT_MS)]),
  })
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`)
    chunks.push(chunk)
  }
  if (response.status !== 200) throw new Error(`status ${response.status}`)
  return Buffer.concat(chunks).toString('utf8')
}

/** Returns why a fetch failed; `fetch` puts it in the error's cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = toError(error)
  return cause instanceof Error && cause.message !== '' ? `${message}: ${cause.message}` : message
}
