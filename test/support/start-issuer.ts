import type { RequestListener } from 'node:http'
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose'
import { startUpstream } from './start-upstream'

/** A key pair of an issuer; the public half as it stands in a key set. */
export interface IssuerKey {
  readonly kid: string
  readonly privateKey: CryptoKey
  readonly publicJwk: JWK
}

export async function newIssuerKey(kid: string, algorithm = 'ES256'): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true })
  return { kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' } }
}

export const ISSUER = 'https://login.example/'
export const AUDIENCE = 'orders-api'

/** A token that is valid for ten minutes, unless `claims` says otherwise; `undefined` leaves a claim out. */
export async function sign(
  { privateKey, kid, publicJwk }: IssuerKey,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1_000)
  const payload: JWTPayload = { iss: ISSUER, aud: AUDIENCE, sub: 'alice', iat: now, exp: now + 600, ...claims }
  for (const [name, value] of Object.entries(payload)) if (value === undefined) delete payload[name]
  return new SignJWT(payload).setProtectedHeader({ alg: publicJwk.alg ?? 'ES256', kid, ...header }).sign(privateKey)
}

export interface RunningIssuer {
  /** Of its key set. */
  readonly url: string
  readonly port: number
  /** What it publishes; change it to rotate. */
  keys: readonly JWK[]
  /** How often it was asked. */
  asked: number
  /** In place of the key set. */
  handler: RequestListener | undefined
  stop(): Promise<void>
}

/** Publishes a key set over HTTP, on `port` or a free one. */
export async function startIssuer(keys: readonly JWK[], port = 0): Promise<RunningIssuer> {
  const server = await startUpstream(
    (request, response) => {
      issuer.asked++
      if (issuer.handler) return issuer.handler(request, response)
      response.setHeader('content-type', 'application/jwk-set+json')
      response.end(JSON.stringify({ keys: issuer.keys }))
    },
    { port },
  )
  const issuer: RunningIssuer = {
    url: `${server.url}/jwks.json`,
    port: server.port,
    keys,
    asked: 0,
    handler: undefined,
    stop: () => server.stop(),
  }
  return issuer
}
