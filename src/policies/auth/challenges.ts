/** What is wrong with the credential that was shown: parameters of RFC 6750 §3. */
export type ChallengeError = Readonly<Record<string, string>>

/** One name for all that is behind the gateway: what is protected is nobody's business who has no credentials. */
const REALM = 'myesi-gateway'

/**
 * Asks for an API key. No scheme for keys is registered, and RFC 9110 §11.6.1 wants one in every 401: `ApiKey`, with the
 * name of the field that holds the key.
 */
export function apiKeyChallenge(header: string, error: ChallengeError): string {
  return challenge('ApiKey', { realm: REALM, header, ...error })
}

/** Asks for a token (RFC 6750 §3). */
export function bearerChallenge(error: ChallengeError): string {
  return challenge('Bearer', { realm: REALM, ...error })
}

/** RFC 9110 §11.2; no value here has a quote or a backslash in it. */
function challenge(scheme: string, parameters: Readonly<Record<string, string>>): string {
  return `${scheme} ${Object.entries(parameters)
    .map(([name, value]) => `${name}="${value}"`)
    .join(', ')}`
}
