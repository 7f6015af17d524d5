import { errorCode, toError } from '../errors/error-code'
import { errorType, RedisTimeout } from './error-type'

/** Why Redis cannot be relied on, in words for people and as `error.type`. */
export interface Failure {
  readonly reason: string
  readonly type: string
  /** False where all that is known is that there is no connection: what was known before says more. */
  readonly isTelling: boolean
}

/** How Redis begins what it refuses. */
const REPLY = /^[A-Z][A-Z0-9]{1,23} /

/**
 * What an error of the client means. ioredis wraps what Redis or the network said, once or twice, or says what it thinks of
 * itself (`Stream isn't writeable and enableOfflineQueue options is false`), which helps nobody at three in the morning.
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

/** What is at the bottom of it: the last answer of a node, a sentinel or a server. */
function rootOf(error: unknown): Error {
  const found = toError(error)
  const node = (found as { lastNodeError?: unknown }).lastNodeError
  if (node instanceof Error) return rootOf(node)
  if (found instanceof RedisTimeout || errorCode(found) !== undefined) return found
  const wrapped = /(?:Last error: |Ready check failed: )(?:\w*Error: )?(.*)$/.exec(found.message)?.[1]
  return wrapped === undefined ? found : rootOf(new Error(wrapped))
}
