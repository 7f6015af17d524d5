import type { CryptoKey, FlattenedJWSInput, JSONWebKeySet, JWSHeaderParameters } from 'jose'
import { jose } from './jose'

/** Finds the key that a token names as its signing key. Rejects if there is none. */
export type FindKey = (header?: JWSHeaderParameters, token?: FlattenedJWSInput) => Promise<CryptoKey>

/** Maximum keys in a set: an issuer has a few; with many, each token would need a search. */
const MAX_KEYS = 100

/**
 * Parses a key set (RFC 7517 §5). Only public signature keys are accepted: with a secret key in it, anyone with the set
 * could forge tokens.
 *
 * @throws Error if there is no such key
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
