import type { Attributes, ObservableResult } from '@opentelemetry/api'
import type { ConfigFiles } from '../config/config-files'
import { readFileBounded, UnreadableFile } from '../config/read-file'
import { gatewayMeter } from '../telemetry/scope'
import {
  ATTR_CERTIFICATE_FILE,
  ATTR_CERTIFICATE_RESULT,
  ATTR_CERTIFICATE_ROLE,
  ATTR_UPSTREAM_NAME,
  METRIC_TLS_CERTIFICATE_NOT_AFTER,
  METRIC_TLS_CERTIFICATE_RENEWAL_SUCCESSFUL,
  METRIC_TLS_CERTIFICATE_RENEWALS,
} from '../telemetry/semconv'
import type { Logger } from '../telemetry/logger'
import { toCertificateContent, type CertificateContent, type CertificateSource } from './certificate-files'

/** Interval of checks for new certificates. */
export const LOOK_EVERY_MS = 5_000

export interface FollowOptions {
  readonly log: Logger
  /** Called after a check that found at least one new valid certificate. Certificates stay refused if it throws. */
  readonly onRenewed: () => void
  readonly lookEveryMs?: number | undefined
}

/**
 * Certificates with the files that they are from. The files are polled, not watched: tools that install certificates replace
 * links and folders, and a watcher would keep watching the old ones. A file that is not valid changes nothing.
 */
export class FollowedCertificates {
  readonly #options: FollowOptions
  /** At most as many as the configuration names. */
  #followed: Followed[] = []
  #timer: NodeJS.Timeout | undefined
  readonly #meter = gatewayMeter()
  readonly #notAfter = this.#meter.createObservableGauge(METRIC_TLS_CERTIFICATE_NOT_AFTER, {
    unit: 's',
    description: 'When a certificate, or the first of its file, expires, in seconds since 1970',
  })
  readonly #isSuccessful = this.#meter.createObservableGauge(METRIC_TLS_CERTIFICATE_RENEWAL_SUCCESSFUL, {
    description: '1 if the certificate in use is the one in its file, 0 if that was refused',
  })
  readonly #renewals = this.#meter.createCounter(METRIC_TLS_CERTIFICATE_RENEWALS, {
    unit: '{renewal}',
    description: 'New contents of certificate files',
  })

  constructor(options: FollowOptions) {
    this.#options = options
  }

  /**
   * Sets the certificates to follow, with the contents that are in use.
   *
   * @throws Error if a file is not valid
   */
  replace(sources: readonly CertificateSource[], files: ConfigFiles): void {
    this.#followed = sources.map(source => new Followed(source, files))
    for (const { role } of sources) {
      for (const result of ['success', 'refused']) this.#countRenewal(role, result, 0)
    }
  }

  contentOf(wanted: CertificateSource): CertificateContent {
    const found = this.#followed.find(({ source }) => isSame(source, wanted))
    if (found === undefined) throw new Error(`${wanted.file} is not followed`)
    return found.content
  }

  /** Returns the content in use of a certificate or key file; undefined if none is followed. */
  textOf(path: string): string | undefined {
    for (const { source, content } of this.#followed) {
      if (source.file === path) return content.text
      if (source.keyFile === path) return content.key
    }
    return undefined
  }

  start(): void {
    this.#notAfter.addCallback(this.#observeExpiry)
    this.#isSuccessful.addCallback(this.#observeSuccess)
    this.#lookLater()
  }

  stop(): void {
    this.#notAfter.removeCallback(this.#observeExpiry)
    this.#isSuccessful.removeCallback(this.#observeSuccess)
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #lookLater(): void {
    this.#timer = setTimeout(() => {
      void this.#look().then(() => {
        if (this.#timer !== undefined) this.#lookLater()
      })
    }, this.#options.lookEveryMs ?? LOOK_EVERY_MS).unref()
  }

  async #look(): Promise<void> {
    const { log, onRenewed } = this.#options
    const looked = this.#followed
    const renewed: { readonly followed: Followed; readonly before: CertificateContent }[] = []
    for (const followed of looked) {
      const before = followed.content
      try {
        if (await followed.look()) renewed.push({ followed, before })
      } catch (error) {
        if (this.#followed === looked) this.#refuse(followed, error as Error)
      }
    }
    // A reload meanwhile has read the files itself.
    if (renewed.length === 0 || this.#followed !== looked || this.#timer === undefined) return
    try {
      onRenewed()
    } catch (error) {
      for (const { followed, before } of renewed) {
        followed.content = before
        this.#refuse(followed, error as Error)
      }
      return
    }
    for (const { followed } of renewed) {
      this.#countRenewal(followed.source.role, 'success', 1)
      log.info(
        { ...lineOf(followed.source), not_after: followed.content.notAfter.toISOString() },
        'new certificate in use',
      )
    }
  }

  /** Certificate and key do not match while only one is written; the next check sees both. */
  #refuse(followed: Followed, { message }: Error): void {
    followed.isRefused = true
    this.#countRenewal(followed.source.role, 'refused', 1)
    const line = { ...lineOf(followed.source), error: { message } }
    this.#options.log.error(line, 'new certificate refused, the old one stays')
  }

  #countRenewal(role: CertificateSource['role'], result: string, count: 0 | 1): void {
    this.#renewals.add(count, { [ATTR_CERTIFICATE_ROLE]: role, [ATTR_CERTIFICATE_RESULT]: result })
  }

  readonly #observeExpiry = (result: ObservableResult): void => {
    for (const { attributes, content } of this.#followed) result.observe(content.notAfter.getTime() / 1_000, attributes)
  }

  readonly #observeSuccess = (result: ObservableResult): void => {
    for (const { attributes, isRefused } of this.#followed) result.observe(isRefused ? 0 : 1, attributes)
  }
}

/** One certificate, with the state of its files. */
class Followed {
  readonly source: CertificateSource
  readonly attributes: Attributes
  content: CertificateContent
  isRefused = false
  /** Contents or error at the last check, so that each error is reported once. */
  #seen: string

  constructor(source: CertificateSource, files: ConfigFiles) {
    this.source = source
    this.attributes = {
      [ATTR_CERTIFICATE_ROLE]: source.role,
      [ATTR_CERTIFICATE_FILE]: source.file,
      ...(source.upstream !== undefined && { [ATTR_UPSTREAM_NAME]: source.upstream }),
    }
    const text = files.read(source.file).toString('utf8')
    const key = source.keyFile === undefined ? undefined : files.read(source.keyFile).toString('utf8')
    this.content = toCertificateContent(text, key)
    this.#seen = text + (key ?? '')
  }

  /** Reads the files. @returns whether there is a new certificate. @throws why the new one is not valid */
  async look(): Promise<boolean> {
    const { file, keyFile } = this.source
    let text: string, key: string | undefined
    try {
      ;[text, key] = await Promise.all([readText(file), keyFile === undefined ? undefined : readText(keyFile)])
    } catch (error) {
      // An unreadable file fails at every check; it is reported once.
      const { message } = error as Error
      if (('syscall' in (error as Error) || error instanceof UnreadableFile) && this.#isSeen(message)) return false
      throw error
    }
    if (this.#isSeen(text + (key ?? ''))) return false
    if (text === this.content.text && (key ?? '') === this.content.key) {
      // The old files are back.
      this.isRefused = false
      return false
    }
    const found = toCertificateContent(text, key)
    // One of several authorities may have expired.
    if (key !== undefined && found.notAfter.getTime() < Date.now()) {
      throw new Error(`expired at ${found.notAfter.toISOString()}`)
    }
    this.content = found
    this.isRefused = false
    return true
  }

  #isSeen(found: string): boolean {
    const wasSeen = this.#seen === found
    this.#seen = found
    return wasSeen
  }
}

function isSame(one: CertificateSource, other: CertificateSource): boolean {
  return one.role === other.role && one.upstream === other.upstream && one.file === other.file
}

function lineOf({ role, upstream, file, keyFile }: CertificateSource): object {
  return {
    event: 'tls',
    role,
    ...(upstream !== undefined && { upstream }),
    ...(keyFile === undefined ? { ca: file } : { cert: file, key: keyFile }),
  }
}

/** Reads a file as text. @throws if it cannot be read, with its path */
async function readText(path: string): Promise<string> {
  const bytes = await readFileBounded(path)
  return bytes.toString('utf8')
}
