import { createSign, generateKeyPairSync } from 'node:crypto'

/** Text of a PEM file each. */
export interface Certificate {
  readonly certificate: string
  readonly key: string
}

/** A self-signed certificate for 127.0.0.1 and localhost that is its own authority; valid for a day. */
export function makeCertificate(): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(set(sequence(objectId('550403'), der(0x0c, Buffer.from('test')))))
  const algorithm = sequence(objectId('2a8648ce3d040302')) // ecdsa-with-SHA256
  const day = 86_400_000
  const body = sequence(
    der(0xa0, der(0x02, Buffer.of(2))), // version 3
    der(0x02, Buffer.of(1)), // serial number
    algorithm,
    name,
    sequence(utcTime(Date.now() - day), utcTime(Date.now() + day)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(basicConstraints(), subjectAltName())),
  )
  const signature = createSign('sha256').update(body).sign(privateKey)
  const certificate = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.of(0), signature])))
  const lines = certificate.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function basicConstraints(): Buffer {
  const isAuthority = sequence(der(0x01, Buffer.of(0xff)))
  return sequence(objectId('551d13'), der(0x01, Buffer.of(0xff)), der(0x04, isAuthority))
}

function subjectAltName(): Buffer {
  const names = sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.of(127, 0, 0, 1)))
  return sequence(objectId('551d11'), der(0x04, names))
}

function utcTime(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/^..|\D|\.\d+Z$/g, '')
  return der(0x17, Buffer.from(`${digits.slice(0, 12)}Z`))
}

function objectId(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function set(...parts: readonly Buffer[]): Buffer {
  return der(0x31, Buffer.concat(parts))
}

/** Tag, length and value (X.690 §8.1); lengths below 65,536. */
function der(tag: number, value: Buffer): Buffer {
  const { length } = value
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...size), value])
}
