import type { CertificateSource } from '../certificates/certificate-files'
import { FollowedCertificates } from '../certificates/followed-certificates'
import type { ConfigFiles } from '../config/config-files'
import type { GatewayConfig } from '../config/gateway-config'
import { rememberSamePolicies } from '../policies/policies-of'
import type { Logger } from '../telemetry/logger'

export interface UpstreamCertificatesOptions {
  readonly log: Logger
  /** Makes a configuration the active one. @throws if it cannot */
  readonly use: (config: GatewayConfig) => void
  readonly lookEveryMs?: number
}

/**
 * Follows the certificate files of upstreams: authorities, and certificates of mutual TLS. A new valid one is used for new
 * connections to the targets of its upstream; `gateway.yaml` is not read for it.
 */
export class UpstreamCertificates {
  readonly #options: UpstreamCertificatesOptions
  readonly #certificates: FollowedCertificates
  #config: GatewayConfig | undefined
  #isRunning = false

  constructor(options: UpstreamCertificatesOptions) {
    const { log, lookEveryMs } = options
    this.#options = options
    this.#certificates = new FollowedCertificates({ log, lookEveryMs, onRenewed: () => this.#renew() })
  }

  /** Follows the files of a configuration that has become the active one. */
  follow(config: GatewayConfig): void {
    const sources = sourcesOf(config)
    this.#config = config
    this.#certificates.replace(sources, config.files)
    if (sources.length > 0 && !this.#isRunning) this.#certificates.start()
    if (sources.length === 0) this.stop()
    this.#isRunning = sources.length > 0
  }

  stop(): void {
    this.#certificates.stop()
    this.#isRunning = false
  }

  #renew(): void {
    const config = this.#config as GatewayConfig
    const certificates = this.#certificates
    const files: ConfigFiles = Object.freeze({
      read: (path: string) => {
        const text = certificates.textOf(path)
        return text === undefined ? config.files.read(path) : Buffer.from(text)
      },
      list: (folder: string) => config.files.list(folder),
    })
    const renewed = Object.freeze({ ...config, files })
    rememberSamePolicies(renewed, config)
    this.#options.use(renewed)
  }
}

function sourcesOf({ upstreams }: GatewayConfig): CertificateSource[] {
  return upstreams.flatMap(({ name, tls }): CertificateSource[] => [
    ...(tls?.ca === undefined ? [] : [{ role: 'upstream_ca' as const, upstream: name, file: tls.ca }]),
    ...(tls?.cert === undefined
      ? []
      : [{ role: 'upstream' as const, upstream: name, file: tls.cert, keyFile: tls.key }]),
  ])
}
