import { z } from 'zod'
import { durationField } from '../../config/fields'
import { parseFlag } from '../../config/values/choice'
import { durationText } from '../../config/values/duration'
import { field } from '../../config/values/field'
import { mistake, type Parsed } from '../../config/values/parsed'
import { GatewayError } from '../../errors/gateway-error'
import type { Exchange } from '../../exchange/exchange'
import { definePolicy } from '../define-policy'

/** Default idle timeout of a WebSocket. */
const DEFAULT_IDLE_TIMEOUT = '5m'
const DEFAULT_IDLE_TIMEOUT_MS = 300_000

const settings = z.strictObject({
  idleTimeout: durationField(
    'How long a WebSocket may be silent in both directions before the gateway closes both connections. Pings count as traffic.',
    {
      atLeast: '1s',
    },
  ).prefault(DEFAULT_IDLE_TIMEOUT),
})

const flag = field(parseWebSocketFlag, {
  description: 'Whether WebSocket upgrades are allowed.',
  type: 'boolean',
})

/** Allows upgrades to WebSocket. */
export const websocket = definePolicy({
  name: 'websocket',
  schema: z
    .union([settings, flag])
    .transform(config => config && { idleTimeoutMs: config.idleTimeout })
    .prefault(true)
    .meta({
      description: 'Whether WebSocket upgrades are allowed. `false`: 403, reason `forbidden`.',
      value: '`true`, `false`, or map',
    }),
  needsUpstream: true,
  create: config =>
    config === false ? { onRequest: refuseWebSockets } : { forwarding: { webSocketIdleMs: config.idleTimeoutMs } },
  refuses: config => (config === false ? ['forbidden'] : []),
  describe(config) {
    if (config === false) return [{ about: 'upgrades', text: 'no WebSockets' }]
    const idle = durationText(config.idleTimeoutMs)
    return idle === DEFAULT_IDLE_TIMEOUT ? [] : [{ about: 'upgrades', text: `WebSockets silent for up to ${idle}` }]
  },
})

/** Parses a flag; `websocket: true` equals an empty map. */
function parseWebSocketFlag(found: unknown): Parsed<false | { readonly idleTimeout: number }> {
  const parsed = parseFlag(found)
  if ('value' in parsed) return { value: parsed.value && { idleTimeout: DEFAULT_IDLE_TIMEOUT_MS } }
  const { problem, nearest } = parsed.mistake
  return { mistake: mistake(problem, 'true, false, or a map with idleTimeout', nearest) }
}

/**
 * Refuses WebSockets with 403. 426 would ask for an upgrade, and served without one the request would reach an upstream that
 * does not expect it. A handshake behind an unfinished response is not an upgrade (`entrypoint/server.ts`): at most it is
 * forwarded as a plain GET without `Upgrade`.
 *
 * @throws GatewayError `forbidden`
 */
function refuseWebSockets({ upgrade }: Exchange): void {
  if (upgrade !== undefined) throw new GatewayError('forbidden', { cause: new Error('no WebSockets on this route') })
}
