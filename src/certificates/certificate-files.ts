import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'

/** What a certificate is for: shown by the listener, checks its clients, shown to an upstream, or checks an upstream. */
export type CertificateRole = 'listener' | 'client_ca' | 'upstream' | 'upstream_ca'

/** A PEM file with a certificate and the file of its key, or a PEM file with certificate authorities. */
export interface CertificateSource {
  readonly role: CertificateRole
  /** Undefined for the listener. */
  readonly upstream?: string
  readonly file: string
  /** Undefined for authorities. */
  readonly keyFile?: string | undefined
}

export interface CertificateContent {
  readonly text: string
  /** Empty for authorities. */
  readonly key: string
  /** Earliest expiry of the certificates in the file; of authorities only those count that have not expired yet. */
  readonly notAfter: Date
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/**
 * Parses certificates with their key.
 *
 * @param key undefined for authorities
 * @throws Error if one is invalid, or the key is another certificate's
 */
export function toCertificateContent(text: string, key: string | undefined): CertificateContent {
  createSecureContext(key === undefined ? { ca: text } : { cert: text, key })
  // OpenSSL accepts an empty file.
  const found = text.match(PEM_CERTIFICATE)
  if (found === null) throw new Error('no certificate in it')
  const all = found.map(pem => new X509Certificate(pem).validToDate.getTime())
  // Expired authorities stay in bundles for years.
  const ends = key === undefined ? all.filter(end => end > Date.now()) : all
  return { text, key: key ?? '', notAfter: new Date(ends.length > 0 ? Math.min(...ends) : Math.max(...all)) }
}

/**
 * Returns the DNS names of a certificate's first certificate, in lower case. The common name is not one of them: clients
 * ignore it (RFC 9525 §2).
 */
export function dnsNamesOf(text: string): string[] {
  return alternativeNames(new X509Certificate(text), 'DNS').map(name => name.toLowerCase())
}

/**
 * Returns the subject alternative names of one kind from Node's text. Node quotes a name as JSON if it contains a character
 * that could be mistaken for the end of it.
 */
export function alternativeNames(certificate: X509Certificate, kind: 'DNS' | 'URI' | 'email'): string[] {
  const names: string[] = []
  for (const [, found, quoted, plain] of textOf(certificate).matchAll(ALTERNATIVE_NAME)) {
    if (found !== kind) continue
    names.push(quoted === undefined ? (plain as string) : (JSON.parse(quoted) as string))
  }
  return names
}

const ALTERNATIVE_NAME = /(?:^|, )([A-Za-z0-9 ]+):(?:("(?:[^"\\]|\\.)*")|([^,]*))/g

/** Node throws for an extension without a name, or of an unknown form. */
function textOf(certificate: X509Certificate): string {
  try {
    return certificate.subjectAltName ?? ''
  } catch {
    return ''
  }
}
