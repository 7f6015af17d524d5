import type { JWTHeaderParameters, JWTPayload, JWTVerifyOptions, JWTVerifyResult } from 'jose'
import { jose } from '../../config/values/jose'
import type { TokenConfig } from '../../config/types'
import { GatewayError } from '../../errors/gateway-error'
import { tokenType } from '../../config/values/tokens'
import type { OpenKeys } from './open-keys'
import { VerifiedTokens, type VerifiedToken } from './verified-tokens'

const MAX_SUBJECT_CHARACTERS = 256

/** Thrown for a token that is not valid. */
export class InvalidToken extends Error {
  override readonly name = 'InvalidToken'
  /** Description for the client: `error_description` of RFC 6750 §3. */
  readonly description: string

  constructor(message: string, description: string) {
    super(message)
    this.description = description
  }
}

/** Checks tokens of one issuer. */
export class TokenVerifier {
  readonly #keys: Pick<OpenKeys, 'find' | 'current'>
  readonly #options: JWTVerifyOptions
  readonly #config: TokenConfig
  readonly #verifiedTokens: VerifiedTokens
  readonly #keepsClaims: boolean

  /** @param keepsClaims whether verified tokens have their claims; most routes do not need them, and they take memory */
  constructor(
    config: TokenConfig,
    keys: Pick<OpenKeys, 'find' | 'current'>,
    verifiedTokens = new VerifiedTokens(),
    keepsClaims = false,
  ) {
    this.#keepsClaims = keepsClaims
    this.#config = config
    this.#keys = keys
    this.#verifiedTokens = verifiedTokens
    this.#options = {
      issuer: config.issuer,
      audience: [...config.audience],
      // Never from the token itself: it could name `none`, or have the public key used as a shared secret.
      algorithms: [...config.algorithms],
      clockTolerance: config.clockSkewMs / 1_000,
      // A token without expiry could never be revoked.
      requiredClaims: ['exp'],
    }
  }

  get issuer(): string {
    return this.#config.issuer
  }

  /**
   * Verifies a token. Returns no promise for one that was verified before.
   *
   * @throws InvalidToken, or GatewayError `keys_unavailable` if it cannot be verified
   */
  verify(token: string): VerifiedToken | Promise<VerifiedToken> {
    const digest = this.#verifiedTokens.digestOf(token)
    const known = digest === undefined ? undefined : this.#verifiedTokens.recall(digest, this.#keys.current)
    return known ?? this.#verifyAndRemember(token, digest)
  }

  async #verifyAndRemember(token: string, digest: string | undefined): Promise<VerifiedToken> {
    const keySet = this.#keys.current
    const { payload, protectedHeader } = await this.#verified(token)
    const verified = this.#read(payload, protectedHeader)
    // Keys that were fetched meanwhile may not be those of this verification.
    if (digest !== undefined && keySet !== undefined && keySet === this.#keys.current) {
      const skew = this.#config.clockSkewMs / 1_000
      const { nbf = -Infinity, exp = -Infinity } = payload
      this.#verifiedTokens.remember(digest, verified, { from: nbf - skew, until: exp + skew }, keySet)
    }
    return verified
  }

  #read(payload: JWTPayload, protectedHeader: JWTHeaderParameters): VerifiedToken {
    this.#refuseOtherKinds(protectedHeader.typ, payload)
    const subject = payload[this.#config.consumerClaim]
    if (typeof subject !== 'string' || subject === '' || subject.length > MAX_SUBJECT_CHARACTERS) {
      throw new InvalidToken(`"${this.#config.consumerClaim}" does not say who asks`, INVALID)
    }
    const scopes = scopesOf(payload[this.#config.scopeClaim])
    const tokens = this.#config.name
    return this.#keepsClaims ? { tokens, subject, scopes, claims: payload } : { tokens, subject, scopes }
  }

  /**
   * Refuses tokens that are not access tokens. An issuer signs several kinds with one key, and a token for another purpose
   * must not give access to an API (RFC 8725 §3.11).
   */
  #refuseOtherKinds(typ: unknown, payload: JWTPayload): void {
    const { types, idTokens, scopeClaim } = this.#config
    const type = typeof typ === 'string' ? tokenType(typ) : 'jwt'
    if (!types.includes(type)) throw new InvalidToken(`a token of type ${JSON.stringify(type)}`, OTHER_KIND)
    if (type === 'at+jwt') return
    if ('events' in payload)
      throw new InvalidToken('a security event token (RFC 8417), such as a logout token', OTHER_KIND)
    if (!idTokens && isIdToken(payload, scopeClaim)) throw new InvalidToken('an ID token', OTHER_KIND)
  }

  async #verified(token: string): Promise<JWTVerifyResult> {
    try {
      return await jose().jwtVerify(token, this.#keys.find, this.#options)
    } catch (error) {
      if (error instanceof GatewayError) throw error
      const message = error instanceof Error ? error.message : String(error)
      throw new InvalidToken(message, error instanceof jose().errors.JWTExpired ? 'the token has expired' : INVALID)
    }
  }
}

const INVALID = 'the token is not valid here'
const OTHER_KIND = 'a token of this kind is not taken here'

/**
 * Returns whether a token is an ID token (OpenID Connect Core §2 and §3.3.2.11): it has hashes of tokens issued with it, or
 * a nonce. Some issuers put a nonce in access tokens, too; those have scopes.
 */
function isIdToken(payload: JWTPayload, scopeClaim: string): boolean {
  if ('at_hash' in payload || 'c_hash' in payload || 's_hash' in payload) return true
  return 'nonce' in payload && !(scopeClaim in payload)
}

/** Parses scopes: words separated by spaces (RFC 8693 §4.2), or a list, as some issuers use. */
function scopesOf(claim: unknown): readonly string[] {
  if (typeof claim === 'string') return claim.split(' ').filter(scope => scope !== '')
  return Array.isArray(claim) ? claim.filter(scope => typeof scope === 'string') : []
}
