import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { scryptBytes, type PasswordHash } from '../../config/values/password-hash'
import { GatewayError } from '../../errors/gateway-error'

/** Number of remembered pairs of user and password, right and wrong each. */
const MOST_REMEMBERED = 1_000
/** Hashes computed at once: they run on Node's four worker threads, which name look-ups and files need too. */
const MOST_AT_ONCE = 2
/** Hashes that wait. Above it requests are refused: 32 of them take about two seconds. */
const MOST_WAITING = 32

let running = 0
const waiting: (() => void)[] = []

/**
 * Checks passwords against their scrypt hashes. Remembers results by a keyed digest, because a hash is made to be expensive
 * and clients send the same password with each request.
 */
export class PasswordCheck {
  /** Key of the digests: they are useless outside of this process. */
  readonly #secret = randomBytes(32)
  readonly #right = new Set<string>()
  readonly #wrong = new Set<string>()
  /** Checks in progress, so that equal requests at the same time compute one hash. Bounded as the hashes are. */
  readonly #open = new Map<string, Promise<boolean>>()
  /** Hash that no password has, for users that do not exist: their refusal must take as long as others. */
  readonly #decoy: PasswordHash

  /** @param like a hash whose cost the decoy has */
  constructor(like: PasswordHash) {
    const salt = randomBytes(16).toString('base64').replaceAll('=', '')
    const hash = randomBytes(32).toString('base64').replaceAll('=', '')
    this.#decoy = { ln: like.ln, r: like.r, p: like.p, salt, hash }
  }

  /**
   * Returns whether the password is the user's. Never returns true without `stored`.
   *
   * @param stored undefined for a user that does not exist
   * @throws GatewayError `shed` if too many hashes wait
   */
  isRight(user: string, password: string, stored: PasswordHash | undefined): boolean | Promise<boolean> {
    const digest = createHmac('sha256', this.#secret).update(`${user}\0${password}`).digest('base64')
    if (this.#right.has(digest)) return true
    if (this.#wrong.has(digest)) return false
    const open = this.#open.get(digest)
    if (open !== undefined) return open
    if (running >= MOST_AT_ONCE && waiting.length >= MOST_WAITING) {
      throw new GatewayError('shed', { headers: ['Retry-After', '1'], cause: 'too many passwords to check' })
    }
    const checked = this.#check(digest, password, stored).finally(() => this.#open.delete(digest))
    this.#open.set(digest, checked)
    return checked
  }

  async #check(digest: string, password: string, stored: PasswordHash | undefined): Promise<boolean> {
    const isEqual = await inTurn(() => matches(password, stored ?? this.#decoy))
    const isRight = isEqual && stored !== undefined
    remember(isRight ? this.#right : this.#wrong, digest)
    return isRight
  }
}

function remember(results: Set<string>, digest: string): void {
  if (results.size >= MOST_REMEMBERED) {
    for (const oldest of results) {
      results.delete(oldest)
      break
    }
  }
  results.add(digest)
}

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  // A call that is woken takes over the place of the one that ended.
  if (running >= MOST_AT_ONCE) await new Promise<void>(resolve => waiting.push(resolve))
  else running++
  try {
    return await work()
  } finally {
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }
}

function matches(password: string, { ln, r, p, salt, hash }: PasswordHash): Promise<boolean> {
  const expected = Buffer.from(hash, 'base64')
  const options = { N: 2 ** ln, r, p, maxmem: 2 * scryptBytes({ ln, r }) }
  return new Promise((resolve, reject) => {
    scrypt(password, Buffer.from(salt, 'base64'), expected.length, options, (error, derived) => {
      if (error) reject(error)
      else resolve(timingSafeEqual(derived, expected))
    })
  })
}
