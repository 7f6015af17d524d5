import type { Frozen } from './frozen'

/**
 * Keys of the schemas that have another name in the parsed configuration: a parsed duration or size is a number, and
 * the name of a number says its unit. Every other key keeps its name and its type, so a new key needs no line here.
 */
export const PARSED_NAMES = {
  entrypoint: {
    headersTimeout: 'headersTimeoutMs',
    requestTimeout: 'requestTimeoutMs',
    stallTimeout: 'stallTimeoutMs',
    keepAliveTimeout: 'keepAliveTimeoutMs',
    maxHeaderSize: 'maxHeaderBytes',
    maxUrlLength: 'maxUrlBytes',
  },
  responseBuffer: { perResponse: 'perResponseBytes', total: 'totalBytes' },
  overload: { maxEventLoopDelay: 'maxEventLoopDelayMs' },
  http2: {
    streamWindow: 'streamWindowBytes',
    connectionWindow: 'connectionWindowBytes',
    maxMemory: 'maxMemoryBytes',
  },
  token: { clockSkew: 'clockSkewMs' },
  upstream: { maxHeaderSize: 'maxHeaderBytes', connectionLifetime: 'connectionLifetimeMs' },
  timeouts: { connect: 'connectMs', response: 'responseMs', idle: 'idleMs', total: 'totalMs' },
  fairness: { reserve: 'reservePercent', streams: 'streamPercent' },
  discovery: { refresh: 'refreshMs' },
  cookie: { ttl: 'ttlMs' },
  retries: { conditions: 'on' },
  circuitBreaker: { openFor: 'openForMs', conditions: 'on' },
  ejection: { for: 'openForMs', conditions: 'on' },
  healthCheck: { interval: 'intervalMs', timeout: 'timeoutMs' },
} as const satisfies Readonly<Record<string, Names>>

type Names = Readonly<Record<string, string>>
type PartName = keyof typeof PARSED_NAMES

/** The parsed form of a part of the file: the output of its schema, with the names above. */
export type ParsedPart<Written, Part extends PartName> = {
  readonly [
    K in keyof Written as K extends keyof (typeof PARSED_NAMES)[Part] ? (typeof PARSED_NAMES)[Part][K] & string : K
  ]: Frozen<Written[K]>
}

export function parsedPart<Written extends object, Part extends PartName>(
  written: Written,
  part: Part,
): ParsedPart<Written, Part> {
  const names: Names = PARSED_NAMES[part]
  const entries = Object.entries(written).map(([key, value]) => [names[key] ?? key, value])
  return Object.fromEntries(entries) as ParsedPart<Written, Part>
}
