import { errorCode, toError } from '../errors/error-code'
import { errorType, RedisTimeout } from './error-type'

/** Why Redis is unavailable, as text and as `error.type`. */
export interface Failure {
  readonly reason: string
  readonly type: string
  /** False if the error only says that there is no connection; an earlier cause is then kept. */
  readonly isTelling: boolean
}

/** Matches the beginning of an error reply of Redis. */
const REPLY = /^[A-Z][A-Z0-9]{1,23} /

/**
 * Extracts the cause from an error of the client. ioredis wraps errors of Redis and the network once or twice, or
 * reports its own state (`Stream isn't writeable and enableOfflineQueue options is false`), which does not help an
 * operator.
 */
export function failureOf(error: unknown): Failure {
  const root = rootOf(error)
  const type = errorType(root)
  if (root instanceof RedisTimeout) return { reason: 'no answer in time', type, isTelling: true }
  const code = errorCode(root)
  if (code !== undefined) return { reason: code, type, isTelling: true }
  if (REPLY.test(root.message)) return { reason: root.message, type, isTelling: true }
  if (root.message.startsWith('Socket timeout.')) return { reason: 'the connection is silent', type, isTelling: false }
  return { reason: 'the connection is closed', type: 'connection', isTelling: false }
}

/** Returns the innermost error: the last reply of a node, a sentinel or a server. */
function rootOf(error: unknown): Error {
  const found = toError(error)
  const node = (found as { lastNodeError?: unknown }).lastNodeError
  if (node instanceof Error) return rootOf(node)
  if (found instanceof RedisTimeout || errorCode(found) !== undefined) return found
  const wrapped = /(?:Last error: |Ready check failed: )(?:\w*Error: )?(.*)$/.exec(found.message)?.[1]
  return wrapped === undefined ? found : rootOf(new Error(wrapped))
}
