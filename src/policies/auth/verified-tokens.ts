import { hash } from 'node:crypto'
import type { Resource } from '../../runtime/resources'
import type { FindKey } from '../../config/values/key-set'

/** Claims of a valid token. */
export interface VerifiedToken {
  /** Name of the entry of `tokens`. */
  readonly tokens: string
  /** Client, as named by the issuer. */
  readonly subject: string
  readonly scopes: readonly string[]
  /** Only for routes that write claims into fields. */
  readonly claims?: Readonly<Record<string, unknown>>
}

/** When a token is valid, in seconds since the epoch. */
export interface Validity {
  readonly from: number
  readonly until: number
}

interface Remembered extends Validity {
  readonly token: VerifiedToken
}

/** Number of tokens that are remembered for one entry of `tokens`; half of them are the latest ones. */
export const MAX_REMEMBERED = 4_000
/** Longer tokens are not remembered. Together with `MAX_REMEMBERED` this bounds the memory, usually to about 2 MB, with claims to about 10 MB. */
const MAX_CHARACTERS = 4_096

/**
 * Remembers verified tokens until they expire, because checking a signature costs more than the rest of a request.
 * Shared by the routes that accept the same tokens, and kept by a reload that does not change them.
 *
 * Tokens are stored by digest only, so that a heap dump contains no credential. A change of the key set clears
 * everything: a token whose key was withdrawn is verified again and refused.
 */
export class VerifiedTokens implements Resource {
  /** Two generations: when the first is full it becomes the second, and what was not used since is dropped. */
  #recent = new Map<string, Remembered>()
  #older = new Map<string, Remembered>()
  #keySet: FindKey | undefined

  /** Returns the digest by which a token is remembered; undefined if it is too long. */
  digestOf(token: string): string | undefined {
    return token.length > MAX_CHARACTERS ? undefined : hash('sha256', token, 'base64url')
  }

  /** @param keySet the current key set */
  recall(digest: string, keySet: FindKey | undefined): VerifiedToken | undefined {
    if (keySet !== this.#keySet) this.#changeKeys(keySet)
    const known = this.#recent.get(digest) ?? this.#older.get(digest)
    if (known === undefined) return undefined
    const now = Math.floor(Date.now() / 1_000)
    // Also checks the beginning: the clock may have been set back.
    if (now < known.from || now >= known.until) return undefined
    if (!this.#recent.has(digest)) this.#add(digest, known)
    return known.token
  }

  /** @param keySet the key set with which the token was verified */
  remember(digest: string, token: VerifiedToken, { from, until }: Validity, keySet: FindKey): void {
    if (keySet === this.#keySet) this.#add(digest, { token, from, until })
  }

  close(): void {
    this.#changeKeys(undefined)
  }

  #add(digest: string, remembered: Remembered): void {
    if (this.#recent.size >= MAX_REMEMBERED / 2) {
      this.#older = this.#recent
      this.#recent = new Map()
    }
    this.#recent.set(digest, remembered)
  }

  #changeKeys(keySet: FindKey | undefined): void {
    this.#keySet = keySet
    this.#recent = new Map()
    this.#older = new Map()
  }
}
