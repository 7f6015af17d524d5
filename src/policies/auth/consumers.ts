import { hash, timingSafeEqual } from 'node:crypto'
import type { ConsumerConfig } from '../../config/types'
import type { PasswordHash } from '../../config/values/password-hash'
import type { Consumer } from '../../exchange/exchange'
import { PasswordCheck } from './password-check'
import type { VerifiedToken } from './verified-tokens'

/** Characters of a digest that limits count by: 132 bits. */
const SHOWN_DIGEST = 22
/** Bytes of a digest by which keys are looked up. */
const SHELF_BYTES = 8

/** An API key's digest, with its consumer. */
interface KnownKey {
  readonly digest: Buffer
  readonly consumer: Consumer
}

/** A user's password, with the consumer. */
interface KnownUser {
  readonly password: PasswordHash
  readonly consumer: Consumer
}

/** Consumers of the file, found by their credentials. */
export class Consumers {
  readonly #keys = new Map<string, KnownKey[]>()
  readonly #subjects = new Map<string, ConsumerConfig>()
  readonly #users = new Map<string, KnownUser>()
  readonly #passwords: PasswordCheck | undefined
  readonly #ofTokens = new WeakMap<VerifiedToken, Consumer>()
  readonly #certificates = new Map<string, ConsumerConfig>()

  constructor(consumers: readonly ConsumerConfig[]) {
    for (const consumer of consumers) {
      for (const hex of consumer.apiKeys) this.#add(Buffer.from(hex, 'hex'), consumer)
      for (const subject of consumer.subjects) this.#subjects.set(subject, consumer)
      for (const { name, password } of consumer.users)
        this.#users.set(name, { password, consumer: asUser(name, consumer) })
      for (const subject of consumer.certificates) this.#certificates.set(subject, consumer)
    }
    const [first] = this.#users.values()
    if (first !== undefined) this.#passwords = new PasswordCheck(first.password)
  }

  /**
   * Returns the consumer of a user. A refusal takes the same time for users that exist and those that do not.
   *
   * @throws GatewayError `shed` if too many passwords wait for their check
   */
  byPassword(user: string, password: string): Consumer | undefined | Promise<Consumer | undefined> {
    if (this.#passwords === undefined) return undefined
    const known = this.#users.get(user)
    const isRight = this.#passwords.isRight(user, password, known?.password)
    if (typeof isRight === 'boolean') return isRight ? known?.consumer : undefined
    return isRight.then(right => (right ? known?.consumer : undefined))
  }

  /**
   * Returns the consumer of an API key. Looks it up by a part of its digest and compares the whole digest in constant time:
   * the duration of a refusal must not disclose anything about existing keys.
   */
  byApiKey(key: string): Consumer | undefined {
    // As text, which Node returns in a third of the time that a buffer takes.
    const text = hash('sha256', key, 'binary')
    const candidates = this.#keys.get(text.slice(0, SHELF_BYTES))
    if (candidates === undefined) return undefined
    const digest = Buffer.from(text, 'binary')
    return candidates.find(known => timingSafeEqual(known.digest, digest))?.consumer
  }

  /** Returns the consumer of a verified token, made once for as long as the token is remembered. */
  ofToken(tokens: string, token: VerifiedToken): Consumer {
    let consumer = this.#ofTokens.get(token)
    if (consumer === undefined) {
      consumer = this.bySubject(tokens, token.subject, token.scopes)
      this.#ofTokens.set(token, consumer)
    }
    return consumer
  }

  /**
   * Returns the consumer of a token: the one that lists the subject, or else a consumer for the subject itself. Its name
   * combines the names of the tokens and the subject, which no consumer of the file can have.
   */
  bySubject(tokens: string, subject: string, scopes: readonly string[]): Consumer {
    const known = this.#subjects.get(`${tokens}/${subject}`)
    const name = known?.name ?? `${tokens}/${visible(subject)}`
    const counted = `consumer=${known?.name ?? shortened(hash('sha256', name, 'buffer'))}`
    return { name, tier: known?.tier, scopes, countedAs: { consumer: counted, 'api-key': counted } }
  }

  /**
   * Returns the consumer of a client certificate: the one that lists the subject, or else a consumer for the subject itself,
   * without scopes. Names of the file contain no colon.
   */
  byCertificate(subject: string): Consumer {
    const known = this.#certificates.get(subject)
    const name = known?.name ?? `certificate:${visible(subject)}`
    const counted = `consumer=${known?.name ?? shortened(hash('sha256', name, 'buffer'))}`
    const scopes = known?.scopes ?? []
    return { name, tier: known?.tier, scopes, countedAs: { consumer: counted, 'api-key': counted } }
  }

  #add(digest: Buffer, { name, tier, scopes }: ConsumerConfig): void {
    const countedAs = { consumer: `consumer=${name}`, 'api-key': `api-key=${shortened(digest)}` }
    const known = { digest, consumer: { name, tier, scopes, countedAs } }
    const shelf = this.#keys.get(shelfOf(digest))
    if (shelf === undefined) this.#keys.set(shelfOf(digest), [known])
    else shelf.push(known)
  }
}

function asUser(user: string, { name, tier, scopes }: ConsumerConfig): Consumer {
  const counted = `user=${shortened(hash('sha256', user, 'buffer'))}`
  return { name, tier, scopes, countedAs: { consumer: `consumer=${name}`, 'api-key': counted } }
}

function shelfOf(digest: Buffer): string {
  return digest.toString('latin1', 0, SHELF_BYTES)
}

function shortened(digest: Buffer): string {
  return digest.toString('base64url').slice(0, SHOWN_DIGEST)
}

/** Escapes text for header fields and logs: issuers may let users choose their names. */
function visible(text: string): string {
  return text.replace(/[^!-$&-~]/gu, character => {
    return [...Buffer.from(character)].map(byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
  })
}
