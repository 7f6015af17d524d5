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

/** How long a new certificate may go unseen. */
const LOOK_EVERY_MS = 5_000

/** OpenSSL takes the suites of both versions in one list, and leaves out those that are not in it. */
const TLS_13_CIPHERS = ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256']

interface Certificate {
  readonly cert: string
  readonly key: string
  /** When the first of its chain expires. */
  readonly notAfter: Date
}

/**
 * The listener's certificate, and what becomes of its files: they are read again every few seconds, and what is new and will
 * do is used for the next connections; those that are open stay as they are. Read, not watched: whatever puts certificates
 * there moves links and folders about, and watchers look at what was there before.
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
  /** What the files held at the last look, so that each mistake is said once. */
  #seen: string
  #timer: NodeJS.Timeout | undefined

  /** @param files what they held when the configuration was read, and checked */
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

  /** From when the server listens until it is closed. */
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
      // A file that cannot be read cannot be read at every look.
      if (('syscall' in (error as Error) || error instanceof UnreadableFile) && this.#isSeen(message)) return
      // Where one file was written and the other not yet, they do not belong together; the next look sees both.
      this.#log.error({ event: 'tls', ...files, error: { message } }, 'new certificate refused, the old one stays')
    }
  }

  #isSeen(found: string): boolean {
    const wasSeen = this.#seen === found
    this.#seen = found
    return wasSeen
  }
}

/** @throws whatever keeps it from being read, with its path */
async function readText(path: string): Promise<string> {
  const bytes = await readFileBounded(path)
  return bytes.toString('utf8')
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** @throws Error where one is not valid, or the two do not belong together */
function toCertificate(cert: string, key: string): Certificate {
  createSecureContext({ cert, key })
  const found = cert.match(PEM_CERTIFICATE)
  // An empty one is nothing to OpenSSL, and no mistake.
  if (found === null) throw new Error('no certificate in it')
  const ends = found.map(pem => new X509Certificate(pem).validToDate.getTime())
  return { cert, key, notAfter: new Date(Math.min(...ends)) }
}
