import { InvalidToken, type TokenVerifier } from './token-verifier'
import type { VerifiedToken } from './verified-tokens'

/** Verifies tokens of several issuers. */
export class Issuers {
  readonly #verifiers: readonly [TokenVerifier, ...TokenVerifier[]]

  constructor(verifiers: readonly [TokenVerifier, ...TokenVerifier[]]) {
    this.#verifiers = verifiers
  }

  /** Verifies a token. @throws InvalidToken, or GatewayError `keys_unavailable` if it cannot be verified */
  verify(token: string): VerifiedToken | Promise<VerifiedToken> {
    const [only, ...others] = this.#verifiers
    return others.length === 0 ? only.verify(token) : this.#verifyByIssuer(token)
  }

  /**
   * Selects the entry by the claim `iss`, which is not trusted: the entry's own keys and issuer are checked afterwards.
   * Entries of one issuer, for several audiences, are tried in the order of the file.
   */
  async #verifyByIssuer(token: string): Promise<VerifiedToken> {
    const issuer = issuerIn(token)
    let failure: InvalidToken | undefined
    for (const verifier of this.#verifiers) {
      if (verifier.issuer !== issuer) continue
      try {
        return await verifier.verify(token)
      } catch (error) {
        if (!(error instanceof InvalidToken)) throw error
        failure = error
      }
    }
    throw failure ?? new InvalidToken('it is of no issuer of this route', 'the token is not valid here')
  }
}

/** Reads the claim `iss` without verifying anything; undefined if the token is malformed. */
function issuerIn(token: string): unknown {
  const [, payload] = token.split('.', 2)
  try {
    return (JSON.parse(Buffer.from(payload ?? '', 'base64url').toString('utf8')) as { iss?: unknown } | null)?.iss
  } catch {
    return undefined
  }
}
