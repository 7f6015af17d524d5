import { parseFlag } from './choice'
import { mistake, type Parsed } from './parsed'

/** How long nothing may move on a WebSocket, where the file says nothing else. */
export const DEFAULT_IDLE_TIMEOUT = '5m'
const DEFAULT_IDLE_TIMEOUT_MS = 300_000

/** `websocket: true` is the same as a map with nothing in it. */
export function parseWebSocketFlag(found: unknown): Parsed<false | { readonly idleTimeout: number }> {
  const parsed = parseFlag(found)
  if ('value' in parsed) return { value: parsed.value && { idleTimeout: DEFAULT_IDLE_TIMEOUT_MS } }
  const { problem, nearest } = parsed.mistake
  return { mistake: mistake(problem, 'true, false, or a map with idleTimeout', nearest) }
}
