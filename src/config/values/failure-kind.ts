import { nearestName } from '../nearest-name'
import { refuse, type Parsed } from './parsed'

/**
 * The kinds of failures of a call to a target, as the file names them: no connection (refused, unreachable, too slow,
 * unknown name, no TLS), a broken connection, no response in time, an invalid response, or a status.
 */
export const FAILURE_KINDS = ['connect', 'reset', 'response_timeout', 'bad_response', 500, 502, 503, 504] as const
export type FailureKind = (typeof FAILURE_KINDS)[number]

const ALLOWED = FAILURE_KINDS.join(', ')
const MEANT: Readonly<Record<string, FailureKind>> = {
  timeout: 'response_timeout',
  connect_refused: 'connect',
  connect_timeout: 'connect',
  connection: 'connect',
  refused: 'connect',
}

/** Parses one kind of failure; statuses are numbers or, from a variable, text. */
export function parseFailureKind(found: unknown): Parsed<FailureKind> {
  const kind = FAILURE_KINDS.find(kind => kind === found || String(kind) === found)
  if (kind !== undefined) return { value: kind }
  if (found === null || found === undefined) return refuse('is empty', ALLOWED)
  if (typeof found !== 'string') return refuse('is not a known kind of failure', ALLOWED)
  const text = found.toLowerCase()
  const meant = Object.hasOwn(MEANT, text) ? MEANT[text] : nearestName(text, FAILURE_KINDS.map(String))
  return refuse('is not a known kind of failure', ALLOWED, meant === undefined ? undefined : String(meant))
}
