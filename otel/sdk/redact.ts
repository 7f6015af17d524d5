/** Query parameters whose values are credentials: the usual signed-URL ones and what people put tokens in. */
export const SECRET_PARAMETERS: string[] = [
  'sig',
  'Signature',
  'AWSAccessKeyId',
  'X-Amz-Credential',
  'X-Amz-Security-Token',
  'X-Amz-Signature',
  'X-Goog-Credential',
  'X-Goog-Signature',
  'access_token',
  'api_key',
  'apikey',
  'auth',
  'client_secret',
  'code',
  'key',
  'password',
  'secret',
  'token',
]

const secret = new RegExp(`([?&](?:${SECRET_PARAMETERS.join('|')})=)[^&#]*`, 'gi')

/** @param query with its question mark; everything but the secrets stays as it was written */
export function redactQuery(query: string): string {
  return query.replace(secret, '$1REDACTED')
}
