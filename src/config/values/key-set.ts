import type { CryptoKey, FlattenedJWSInput, JSONWebKeySet, JWSHeaderParameters } from 'jose'
import { jose } from './jose'

/** Finds the key that a token says it is signed with. Rejects when there is none. */
export type FindKey = (header?: JWSHeaderParameters, token?: FlattenedJWSInput) => Promise<CryptoKey>

/** An issuer has a few; more would make a search of every token. */
const MAX_KEYS = 100

/**
 * Reads a key set (RFC 7517 §5). Only public keys for signatures are kept: with a secret among them, whoever knows the set
 * could make tokens.
 *
 * @throws Error when there is none in it
 */
export function parseKeySet(text: string): FindKey {
  const { keys } = JSON.parse(text) as Partial<JSONWebKeySet>
  if (!Array.isArray(keys)) throw new Error('no key set')
  const usable = keys.filter(({ kty, use, d }) => {
    return ['RSA', 'EC', 'OKP'].includes(kty ?? '') && (use === undefined || use === 'sig') && d === undefined
  })
  if (usable.length === 0) throw new Error('no public key for signatures in it')
  if (usable.length > MAX_KEYS) throw new Error(`more than ${MAX_KEYS} keys in it`)
  return jose().createLocalJWKSet({ keys: usable })
}
