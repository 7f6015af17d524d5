import { X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext, type Server, type TlsOptions, type TLSSocket } from 'node:tls'
import { dnsNamesOf, type CertificateSource } from '../certificates/certificate-files'
import { setClientCertificate, toClientCertificate } from '../certificates/client-certificate'
import { FollowedCertificates } from '../certificates/followed-certificates'
import type { ConfigFiles } from '../config/config-files'
import type { EntrypointTlsConfig } from '../config/types'
import type { Logger } from '../telemetry/logger'
import { countHandshakeFailures, UNKNOWN_NAME, type HandshakeFailures } from './handshake-failures'

/** TLS 1.3 suites. OpenSSL has one list for both versions and disables suites that are not in it. */
const TLS_13_CIPHERS = ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256']

/** Options of Node's TLS server. */
type ListenerOptions = TlsOptions

/**
 * TLS of the listener: its certificates, chosen by server name and renewed from their files, and the certificates of its
 * clients.
 */
export class ListenerTls {
  readonly #config: EntrypointTlsConfig
  readonly #log: Logger
  readonly #certificates: FollowedCertificates
  /** Sources of the certificates, the default one first. */
  readonly #shown: readonly CertificateSource[]
  readonly #authorities: CertificateSource | undefined
  #server: Server | undefined
  /** Certificates by DNS name; a wildcard by its name with `*`. Rebuilt when a certificate is renewed. */
  #byName: ReadonlyMap<string, SecureContext> = new Map()

  /** @param files contents that were checked with the configuration */
  constructor(config: EntrypointTlsConfig, files: ConfigFiles, log: Logger, lookEveryMs?: number) {
    this.#config = config
    this.#log = log
    this.#certificates = new FollowedCertificates({ log, lookEveryMs, onRenewed: () => this.#apply() })
    this.#shown = [config, ...config.certificates].map(({ cert, key }) => {
      return { role: 'listener' as const, file: cert, keyFile: key }
    })
    this.#authorities = config.clientCertificates && { role: 'client_ca', file: config.clientCertificates.ca }
    this.#certificates.replace([...this.#shown, ...(this.#authorities ? [this.#authorities] : [])], files)
    this.#byName = this.#contexts()
  }

  get options(): ListenerOptions {
    const { certificates, unknownNames, clientCertificates } = this.#config
    const choosesByName = certificates.length > 0 || unknownNames === 'refuse'
    return {
      ...this.#contextOf(this.#shown[0] as CertificateSource),
      ...(choosesByName && { SNICallback: this.#choose }),
      requestCert: clientCertificates !== undefined,
      // Optional certificates are checked after the handshake: OpenSSL would refuse a client without one, too.
      rejectUnauthorized: clientCertificates?.required === true,
    }
  }

  /** Checks the files while the server listens, and the certificates of clients. */
  follow(server: Server): void {
    this.#server = server
    const failures = countHandshakeFailures(server, this.#log)
    const { clientCertificates } = this.#config
    if (clientCertificates !== undefined) {
      // Before the listener that reads requests.
      server.prependListener('secureConnection', socket => this.#checkClient(socket, failures))
    }
    server.once('listening', () => this.#certificates.start())
    server.once('close', () => this.#certificates.stop())
  }

  #contextOf(source: CertificateSource): TlsOptions {
    const { minVersion, ciphers } = this.#config
    const { text, key } = this.#certificates.contentOf(source)
    const ca = this.#authorities && this.#certificates.contentOf(this.#authorities).text
    return {
      cert: text,
      key,
      minVersion,
      ciphers: [...TLS_13_CIPHERS, ...ciphers].join(':'),
      ...(ca !== undefined && { ca }),
    }
  }

  #contexts(): ReadonlyMap<string, SecureContext> {
    const byName = new Map<string, SecureContext>()
    for (const source of this.#shown) {
      const context = createSecureContext(this.#contextOf(source))
      for (const name of dnsNamesOf(this.#certificates.contentOf(source).text)) {
        if (!byName.has(name)) byName.set(name, context)
      }
    }
    return byName
  }

  /** Uses renewed certificates for new connections. Sessions from before are not resumed: their authorities may be gone. */
  #apply(): void {
    const byName = this.#contexts()
    this.#server?.setSecureContext(this.#contextOf(this.#shown[0] as CertificateSource))
    this.#byName = byName
  }

  /** Implements `SNICallback`; null stands for the default certificate. */
  readonly #choose = (asked: string, done: (error: Error | null, context?: SecureContext) => void): void => {
    const name = asked.toLowerCase()
    // A wildcard stands for one label (RFC 9525 §6.3).
    const context = this.#byName.get(name) ?? this.#byName.get(`*${name.slice(name.indexOf('.'))}`)
    if (context !== undefined) return done(null, context)
    if (this.#config.unknownNames === 'default') return done(null)
    done(Object.assign(new Error('no certificate for the server name'), { code: UNKNOWN_NAME }))
  }

  /**
   * Closes the connection of a client with an invalid certificate, and stores a valid one for its requests. Also called for
   * resumed sessions, whose certificate OpenSSL does not check again: Node calls a session without certificate authorized.
   */
  #checkClient(socket: TLSSocket, failures: HandshakeFailures): void {
    const { required, subject } = this.#config.clientCertificates as NonNullable<
      EntrypointTlsConfig['clientCertificates']
    >
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined) {
      if (!required) return
      failures.count('client_certificate_missing', socket)
    } else if (isExpired(certificate)) failures.count('client_certificate_expired', socket)
    else if (!socket.authorized) failures.count('client_certificate_untrusted', socket)
    else return setClientCertificate(socket, toClientCertificate(certificate, subject))
    socket.destroy()
  }
}

function isExpired({ validToDate }: X509Certificate): boolean {
  return validToDate.getTime() < Date.now()
}
