import { X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContextOptions, type Server } from 'node:tls'
import type { ObservableResult } from '@opentelemetry/api'
import type { ConfigFiles } from '../config/config-files'
import { readFileBounded, UnreadableFile } from '../config/read-file'
import type { EntrypointTlsConfig } from '../config/types'
import { gatewayMeter } from '../telemetry/scope'
import { METRIC_TLS_CERTIFICATE_NOT_AFTER } from '../telemetry/semconv'
import type { Logger } from '../telemetry/logger'
import { countHandshakeFailures } from './handshake-failures'

/** Interval of checks for a new certificate. */
const LOOK_EVERY_MS = 5_000

/** TLS 1.3 suites. OpenSSL has one list for both versions and disables suites that are not in it. */
const TLS_13_CIPHERS = ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256']

interface Certificate {
  readonly cert: string
  readonly key: string
  /** Earliest expiry in the chain. */
  readonly notAfter: Date
}

/**
 * The listener's certificate, renewed from its files: they are read every few seconds, and a new valid certificate is used
 * for new connections. The files are polled, not watched: tools that install certificates replace links and folders, and
 * a watcher would keep watching the old ones.
 */
export class ListenerTls {
  readonly #config: EntrypointTlsConfig
  readonly #log: Logger
  readonly #lookEveryMs: number
  readonly #gauge = gatewayMeter().createObservableGauge(METRIC_TLS_CERTIFICATE_NOT_AFTER, {
    unit: 's',
    description: 'When the certificate of the listener expires, in seconds since 1970',
  })
  #current: Certificate
  /** Contents or error at the last check, so that each error is logged once. */
  #seen: string
  #timer: NodeJS.Timeout | undefined

  /** @param files contents that were checked with the configuration */
  constructor(config: EntrypointTlsConfig, files: ConfigFiles, log: Logger, lookEveryMs = LOOK_EVERY_MS) {
    this.#config = config
    this.#log = log
    this.#lookEveryMs = lookEveryMs
    const [cert, key] = [files.read(config.cert).toString('utf8'), files.read(config.key).toString('utf8')]
    this.#current = toCertificate(cert, key)
    this.#seen = cert + key
  }

  get options(): SecureContextOptions {
    const { cert, key } = this.#current
    const { minVersion, ciphers } = this.#config
    return { cert, key, minVersion, ciphers: [...TLS_13_CIPHERS, ...ciphers].join(':') }
  }

  /** Checks the files while the server listens. */
  follow(server: Server): void {
    countHandshakeFailures(server, this.#log)
    server.once('listening', () => {
      this.#gauge.addCallback(this.#observe)
      this.#lookLater(server)
    })
    server.once('close', () => {
      this.#gauge.removeCallback(this.#observe)
      clearTimeout(this.#timer)
      this.#timer = undefined
    })
  }

  readonly #observe = (result: ObservableResult): void => {
    result.observe(this.#current.notAfter.getTime() / 1_000)
  }

  #lookLater(server: Server): void {
    this.#timer = setTimeout(() => {
      void this.#look(server).then(() => {
        if (this.#timer !== undefined) this.#lookLater(server)
      })
    }, this.#lookEveryMs).unref()
  }

  async #look(server: Server): Promise<void> {
    const files = { cert: this.#config.cert, key: this.#config.key }
    try {
      const [cert, key] = await Promise.all([readText(files.cert), readText(files.key)])
      if (this.#isSeen(cert + key)) return
      const found = toCertificate(cert, key)
      if (found.notAfter.getTime() < Date.now()) throw new Error(`expired at ${found.notAfter.toISOString()}`)
      this.#current = found
      server.setSecureContext(this.options)
      this.#log.info({ event: 'tls', ...files, not_after: found.notAfter.toISOString() }, 'new certificate in use')
    } catch (error) {
      const { message } = error as Error
      // An unreadable file fails at every check; it is logged once.
      if (('syscall' in (error as Error) || error instanceof UnreadableFile) && this.#isSeen(message)) return
      // Certificate and key do not match while only one is written; the next check sees both.
      this.#log.error({ event: 'tls', ...files, error: { message } }, 'new certificate refused, the old one stays')
    }
  }

  #isSeen(found: string): boolean {
    const wasSeen = this.#seen === found
    this.#seen = found
    return wasSeen
  }
}

/** Reads a file as text. @throws if it cannot be read, with its path */
async function readText(path: string): Promise<string> {
  const bytes = await readFileBounded(path)
  return bytes.toString('utf8')
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** Parses a certificate with its key. @throws Error if one is invalid, or the two do not match */
function toCertificate(cert: string, key: string): Certificate {
  createSecureContext({ cert, key })
  const found = cert.match(PEM_CERTIFICATE)
  // OpenSSL accepts an empty file.
  if (found === null) throw new Error('no certificate in it')
  const ends = found.map(pem => new X509Certificate(pem).validToDate.getTime())
  return { cert, key, notAfter: new Date(Math.min(...ends)) }
}
