import type { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { CertificateSubject } from '../config/types'
import { alternativeNames } from './certificate-files'

/** Longest subject; the configuration cannot name a longer one. */
const MAX_SUBJECT = 256

/** The verified certificate of a client. */
export interface ClientCertificate {
  /** Name of the client; undefined if the certificate lacks the part that names it. */
  readonly subject: string | undefined
  /** `Client-Cert` for upstreams (RFC 9440 §2.2). */
  readonly field: string
}

/** Certificates of connections. Written once per connection, after its handshake. */
const certificates = new WeakMap<Socket, ClientCertificate>()

export function setClientCertificate(socket: Socket, certificate: ClientCertificate): void {
  certificates.set(socket, certificate)
}

/** Returns the verified certificate of the request's connection. */
export function clientCertificateOf({ socket }: Pick<IncomingMessage, 'socket'>): ClientCertificate | undefined {
  return certificates.get(socket)
}

export function toClientCertificate(certificate: X509Certificate, part: CertificateSubject): ClientCertificate {
  const subject = subjectOf(certificate, part)
  const isUsable = subject !== undefined && subject !== '' && subject.length <= MAX_SUBJECT
  return { subject: isUsable ? subject : undefined, field: `:${certificate.raw.toString('base64')}:` }
}

function subjectOf(certificate: X509Certificate, part: CertificateSubject): string | undefined {
  switch (part) {
    case 'cn': {
      const { CN } = certificate.toLegacyObject().subject as { CN?: string | string[] }
      return [CN].flat()[0]
    }
    case 'dn':
      // One attribute per line, escaped; the text form starts with the last one (RFC 4514 §2.1).
      return certificate.subject?.split('\n').reverse().join(',')
    case 'uri':
      return alternativeNames(certificate, 'URI')[0]
    case 'dns':
      return alternativeNames(certificate, 'DNS')[0]
    case 'email':
      return alternativeNames(certificate, 'email')[0]
  }
}
