import { createHash, createSign, generateKeyPairSync, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ours } from './trees.ts'

export function apiKey(): { readonly key: string; readonly hash: string } {
  const key = randomBytes(32).toString('base64url')
  return { key, hash: `sha256:${createHash('sha256').update(key).digest('hex')}` }
}

/** Creates a JWT that is valid for a day, and the key set that verifies it. */
export function signedToken(): { readonly token: string; readonly jwks: string } {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const now = Math.floor(Date.now() / 1_000)
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const header = part({ alg: 'RS256', kid: 'bench', typ: 'JWT' })
  const claims = part({ iss: 'https://issuer.example/', aud: 'bench', sub: 'app', iat: now, exp: now + 86_400 })
  const signature = createSign('sha256').update(`${header}.${claims}`).sign(privateKey, 'base64url')
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'RS256', use: 'sig' }
  return { token: `${header}.${claims}.${signature}`, jwks: JSON.stringify({ keys: [jwk] }) }
}

/** @returns paths of a self-signed certificate and its key */
export function certificate(folder: string): { readonly cert: string; readonly key: string } {
  const { makeCertificate } = ours('test/support/make-certificate.js') as {
    readonly makeCertificate: () => { readonly certificate: string; readonly key: string }
  }
  const made = makeCertificate()
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  writeFileSync(cert, made.certificate)
  writeFileSync(key, made.key)
  return { cert, key }
}
