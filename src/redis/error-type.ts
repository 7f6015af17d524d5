import { errorCode } from '../errors/error-code'

/** Redis did not answer within the time that a request waits for it. */
export class RedisTimeout extends Error {
  constructor(timeoutMs: number) {
    super(`Redis did not answer within ${timeoutMs} ms`)
  }
}

/** Codes with which Redis begins what it refuses, as far as they say more than that it did. */
const REPLIES: ReadonlySet<string> = new Set([
  'OOM', // full
  'READONLY', // a replica
  'LOADING',
  'BUSY', // with a script
  'MISCONF', // cannot save, and does not write therefore
  'NOREPLICAS',
  'MASTERDOWN',
  'CLUSTERDOWN',
  'MOVED', // a cluster that moves slots
  'NOAUTH',
  'WRONGPASS',
  'NOPERM',
  'NOSCRIPT',
])

/** Every `error.type` there is. */
export const ERROR_TYPES: readonly string[] = ['timeout', 'connection', 'tls', ...REPLIES, '_OTHER']

/** What kind of failure it was: few kinds, whatever Redis and the network say. */
export function errorType(error: unknown): string {
  if (error instanceof RedisTimeout) return 'timeout'
  const code = errorCode(error)
  if (code !== undefined) return isOfTls(code) ? 'tls' : 'connection'
  if (!(error instanceof Error)) return '_OTHER'
  // In a cluster after some redirections, with the last answer at the end.
  const reply = /(?:^|ReplyError: )([A-Z]{2,24})(?: |$)/.exec(error.message)?.[1]
  if (reply !== undefined) return REPLIES.has(reply) ? reply : '_OTHER'
  return 'connection'
}

/** As Node names them: `CERT_HAS_EXPIRED`, `DEPTH_ZERO_SELF_SIGNED_CERT`, `ERR_TLS_…`, `UNABLE_TO_VERIFY_LEAF_SIGNATURE`. */
function isOfTls(code: string): boolean {
  return /CERT|TLS|SSL|UNABLE_TO/.test(code)
}
