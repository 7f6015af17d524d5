import { errorCode } from '../errors/error-code'

/** Redis did not answer within the time that a request waits for it. */
export class RedisTimeout extends Error {
  constructor(timeoutMs: number) {
    super(`Redis did not answer within ${timeoutMs} ms`)
  }
}

/** Error codes of Redis that are reported as an `error.type` of their own. */
const REPLIES: ReadonlySet<string> = new Set([
  'OOM', // full
  'READONLY', // a replica
  'LOADING',
  'BUSY', // runs a script
  'MISCONF', // cannot save and therefore refuses writes
  'NOREPLICAS',
  'MASTERDOWN',
  'CLUSTERDOWN',
  'MOVED', // a cluster is moving slots
  'NOAUTH',
  'WRONGPASS',
  'NOPERM',
  'NOSCRIPT',
])

/** All values of `error.type`. */
export const ERROR_TYPES: readonly string[] = ['timeout', 'connection', 'tls', ...REPLIES, '_OTHER']

/** Classifies an error as one of `ERROR_TYPES`, which bounds the number of label values. */
export function errorType(error: unknown): string {
  if (error instanceof RedisTimeout) return 'timeout'
  const code = errorCode(error)
  if (code !== undefined) return isOfTls(code) ? 'tls' : 'connection'
  if (!(error instanceof Error)) return '_OTHER'
  // A cluster error after several redirections ends with the last reply.
  const reply = /(?:^|ReplyError: )([A-Z]{2,24})(?: |$)/.exec(error.message)?.[1]
  if (reply !== undefined) return REPLIES.has(reply) ? reply : '_OTHER'
  return 'connection'
}

/** Whether it is a TLS code of Node, such as `CERT_HAS_EXPIRED`, `DEPTH_ZERO_SELF_SIGNED_CERT` or `ERR_TLS_…`. */
function isOfTls(code: string): boolean {
  return /CERT|TLS|SSL|UNABLE_TO/.test(code)
}
