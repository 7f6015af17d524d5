import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from './temporary-folder'

/** A certificate and its key, as PEM texts and as files. */
export interface Certificate {
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
}

export interface Authority extends Certificate {
  /** A certificate for these DNS names, signed by this authority. */
  issue(...names: readonly string[]): Certificate
  /** The same, no longer valid since yesterday. */
  issueExpired(...names: readonly string[]): Certificate
  /** A certificate of a client. */
  issueClient(client: ClientNames): Certificate
}

export interface ClientNames {
  readonly commonName: string
  readonly uri?: string
  readonly email?: string
  readonly dns?: readonly string[]
  /** Default: a day. */
  readonly validForMs?: number
}

const DAY_MS = 86_400_000

/** A certificate authority made on the spot: X.509 v3 (RFC 5280) over P-256, valid from yesterday to tomorrow. */
export function createAuthority(name: string): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const isAuthority = sequence(OID.basicConstraints, TRUE, octets(sequence(TRUE)))
  const own = toFiles(certificate(name, name, publicKey, privateKey, isAuthority, DAY_MS), privateKey)
  const issueFor = ({ commonName, dns = [], uri, email, validForMs = DAY_MS }: ClientNames): Certificate => {
    const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const alternatives = sequence(
      ...(email === undefined ? [] : [tagged(0x81, Buffer.from(email))]),
      ...dns.map(dnsName => tagged(0x82, Buffer.from(dnsName))),
      ...(uri === undefined ? [] : [tagged(0x86, Buffer.from(uri))]),
    )
    const extension = sequence(OID.subjectAltName, octets(alternatives))
    const der = certificate(commonName, name, leaf.publicKey, privateKey, extension, validForMs)
    return toFiles(der, leaf.privateKey)
  }
  return {
    ...own,
    issue: (...names) => issueFor({ commonName: names[0] ?? '', dns: names }),
    issueExpired: (...names) => issueFor({ commonName: names[0] ?? '', dns: names, validForMs: -DAY_MS }),
    issueClient: issueFor,
  }
}

function certificate(
  subject: string,
  issuer: string,
  publicKey: KeyObject,
  issuerKey: KeyObject,
  extension: Buffer,
  validForMs: number,
): Buffer {
  const toBeSigned = sequence(
    tagged(0xa0, integer(Buffer.from([2]))), // version 3
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    sequence(OID.ecdsaWithSha256),
    distinguishedName(issuer),
    sequence(utcTime(Date.now() - 2 * DAY_MS), utcTime(Date.now() + validForMs)),
    distinguishedName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(extension)),
  )
  const signature = Buffer.concat([Buffer.from([0]), sign('sha256', toBeSigned, issuerKey)])
  return sequence(toBeSigned, sequence(OID.ecdsaWithSha256), tagged(0x03, signature))
}

function toFiles(der: Buffer, privateKey: KeyObject): Certificate {
  const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n') // a blank line would end the certificate before its end
  const cert = `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const folder = temporaryFolder()
  const certFile = join(folder, 'cert.pem')
  const keyFile = join(folder, 'key.pem')
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key, { mode: 0o600 })
  return { cert, key, certFile, keyFile }
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts))
}

function octets(content: Buffer): Buffer {
  return tagged(0x04, content)
}

function integer(content: Buffer): Buffer {
  return tagged(0x02, content)
}

function oid(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'))
}

function distinguishedName(commonName: string): Buffer {
  return sequence(tagged(0x31, sequence(OID.commonName, tagged(0x0c, Buffer.from(commonName)))))
}

function utcTime(time: number): Buffer {
  const digits = new Date(time).toISOString().replace(/\D/g, '')
  return tagged(0x17, Buffer.from(`${digits.slice(2, 14)}Z`))
}

const TRUE = Buffer.from([0x01, 0x01, 0xff])
const OID = {
  commonName: oid('550403'),
  basicConstraints: oid('551d13'),
  subjectAltName: oid('551d11'),
  ecdsaWithSha256: oid('2a8648ce3d040302'),
}
