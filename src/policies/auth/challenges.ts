/** Error parameters of a challenge (RFC 6750 §3). */
export type ChallengeError = Readonly<Record<string, string>>

/** One realm for all routes: clients without credentials must not learn what is protected. */
const REALM = 'myesi-gateway'

/**
 * Returns the challenge for an API key. RFC 9110 §11.6.1 requires a challenge in every 401, but no scheme for keys is
 * registered: `ApiKey`, with the name of the key's field, is our own.
 */
export function apiKeyChallenge(header: string, error: ChallengeError): string {
  return challenge('ApiKey', { realm: REALM, header, ...error })
}

/** Returns the challenge for a token (RFC 6750 §3). */
export function bearerChallenge(error: ChallengeError): string {
  return challenge('Bearer', { realm: REALM, ...error })
}

/** Returns the challenge for a user and password (RFC 7617). */
export function basicChallenge(): string {
  return challenge('Basic', { realm: REALM, charset: 'UTF-8' })
}

/** Returns the challenge for a client certificate. No scheme is registered for one: `ClientCertificate` is our own. */
export function certificateChallenge(error: ChallengeError): string {
  return challenge('ClientCertificate', { realm: REALM, ...error })
}

/** Formats a challenge (RFC 9110 §11.2). Values must not contain quotes or backslashes. */
function challenge(scheme: string, parameters: Readonly<Record<string, string>>): string {
  return `${scheme} ${Object.entries(parameters)
    .map(([name, value]) => `${name}="${value}"`)
    .join(', ')}`
}
