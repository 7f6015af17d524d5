import { isIP } from 'node:net'
import { getCiphers } from 'node:tls'
import { nearestName } from '../nearest-name'
import { notText, refuse, type Parsed } from './parsed'

const FILE = 'the path of a PEM file'
const NAME = 'a host name, such as orders.internal'

export function parseFilePath(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, FILE)
  if (found === '') return refuse('is empty', FILE)
  if (found.includes('-----BEGIN')) return refuse('is the content of a file, not its path', FILE)
  return { value: found }
}

const VERSIONS = '1.2 or 1.3'

/** Parses a TLS version, which YAML reads as a number unless it is quoted. Older versions are broken (RFC 8996). */
export function parseTlsVersion(found: unknown): Parsed<'TLSv1.2' | 'TLSv1.3'> {
  if (found === undefined || found === null) return refuse('is empty', VERSIONS)
  if (found === '1.2' || found === 1.2) return { value: 'TLSv1.2' }
  if (found === '1.3' || found === 1.3) return { value: 'TLSv1.3' }
  const [, nearest] = typeof found === 'string' ? (/^TLS ?v?(1\.[23])$/i.exec(found) ?? []) : []
  return refuse('is not a supported TLS version', VERSIONS, nearest)
}

/**
 * Suites for TLS 1.2 with forward secrecy and authenticated encryption (RFC 9325 §4.2, the intermediate profile of Mozilla
 * without DHE). All suites of TLS 1.3 have both.
 */
export const TLS_12_CIPHERS: readonly string[] = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
]

/**
 * Suites for TLS 1.2 by profile. `modern` accepts forward secrecy with authenticated encryption only. `intermediate` adds
 * suites with forward secrecy and CBC, for clients from before about 2015.
 */
export const CIPHER_PROFILES = {
  modern: TLS_12_CIPHERS,
  intermediate: [
    ...TLS_12_CIPHERS,
    'ECDHE-ECDSA-AES128-SHA256',
    'ECDHE-RSA-AES128-SHA256',
    'ECDHE-ECDSA-AES256-SHA384',
    'ECDHE-RSA-AES256-SHA384',
    'ECDHE-ECDSA-AES128-SHA',
    'ECDHE-RSA-AES128-SHA',
    'ECDHE-ECDSA-AES256-SHA',
    'ECDHE-RSA-AES256-SHA',
  ],
} as const satisfies Readonly<Record<string, readonly string[]>>

/** Parses a TLS 1.2 cipher suite by OpenSSL's name. */
export function parseCipher(found: unknown): Parsed<string> {
  const allowed = `a suite by OpenSSL's name, such as ${TLS_12_CIPHERS[0]}`
  if (typeof found !== 'string') return notText(found, allowed)
  const suites = getCiphers().filter(name => !name.startsWith('tls_'))
  const name = found.toLowerCase()
  if (suites.includes(name)) return { value: found.toUpperCase() }
  return refuse('is not a TLS 1.2 cipher suite of this OpenSSL', allowed, nearestName(name, suites)?.toUpperCase())
}

/** Parses a server name; RFC 6066 §3 does not allow addresses in SNI. */
export function parseServerName(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, NAME)
  if (isIP(found) !== 0) return refuse('is an address', NAME)
  if (!/^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(found)) {
    return refuse('is not a host name', NAME)
  }
  return { value: found }
}
