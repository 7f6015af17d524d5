/** A user and password of Basic authentication (RFC 7617). */
export interface BasicCredentials {
  readonly user: string
  readonly password: string
}

const LONGEST = 1_024

/** Parses the value of `Authorization`; undefined if it is another scheme, `malformed` if it is not valid. */
export function basicCredentialsIn(authorization: string): BasicCredentials | 'malformed' | undefined {
  if (!/^basic(?: |$)/i.test(authorization)) return undefined
  const encoded = authorization.slice('basic'.length).trim()
  if (encoded.length > LONGEST || !/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return 'malformed'
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 1 || /\p{Cc}/u.test(text)) return 'malformed'
  return { user: text.slice(0, colon), password: text.slice(colon + 1) }
}
