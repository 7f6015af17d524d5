import { hash, timingSafeEqual } from 'node:crypto'
import type { ConsumerConfig } from '../../config/types'
import type { Consumer } from '../../exchange/exchange'

/** Characters of a digest that limits count by: 132 bits. */
const SHOWN_DIGEST = 22

/** One API key: its digest, and who shows it. */
interface KnownKey {
  readonly digest: Buffer
  readonly consumer: Consumer
}

/** Who the file lets in, found by what they show. */
export class Consumers {
  readonly #keys = new Map<string, KnownKey[]>()
  readonly #subjects = new Map<string, ConsumerConfig>()

  constructor(consumers: readonly ConsumerConfig[]) {
    for (const consumer of consumers) {
      for (const hex of consumer.apiKeys) this.#add(Buffer.from(hex, 'hex'), consumer)
      for (const subject of consumer.subjects) this.#subjects.set(subject, consumer)
    }
  }

  /**
   * Whose key this is. Found by a part of its digest and decided by all of it, in the same time wherever the two differ: how
   * long a refusal takes says nothing of the keys there are.
   */
  byApiKey(key: string): Consumer | undefined {
    const digest = hash('sha256', key, 'buffer')
    const candidates = this.#keys.get(shelfOf(digest))
    return candidates?.find(known => timingSafeEqual(known.digest, digest))?.consumer
  }

  /**
   * Whose token this is: the consumer that names the subject as its own, or the subject itself, under the name of its tokens
   * and its own, which no consumer of the file can have.
   */
  bySubject(tokens: string, subject: string, scopes: readonly string[]): Consumer {
    const known = this.#subjects.get(`${tokens}/${subject}`)
    const name = known?.name ?? `${tokens}/${visible(subject)}`
    const counted = `consumer=${known?.name ?? shortened(hash('sha256', name, 'buffer'))}`
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

function shelfOf(digest: Buffer): string {
  return digest.toString('latin1', 0, 8)
}

function shortened(digest: Buffer): string {
  return digest.toString('base64url').slice(0, SHOWN_DIGEST)
}

/** Fit for a header field and a log line: issuers let people choose their names. */
function visible(text: string): string {
  return text.replace(/[^!-$&-~]/gu, character => {
    return [...Buffer.from(character)].map(byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
  })
}
