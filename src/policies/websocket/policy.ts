import { z } from 'zod'
import { durationField } from '../../config/fields'
import { parseFlag } from '../../config/values/choice'
import { durationText } from '../../config/values/duration'
import { field } from '../../config/values/field'
import { mistake, type Parsed } from '../../config/values/parsed'
import { GatewayError } from '../../errors/gateway-error'
import type { Exchange } from '../../exchange/exchange'
import { definePolicy } from '../define-policy'

/** How long nothing may move on a WebSocket, where the file says nothing else. */
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

/** Upgrades of connections to WebSocket. */
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

/** `websocket: true` is the same as a map with nothing in it. */
function parseWebSocketFlag(found: unknown): Parsed<false | { readonly idleTimeout: number }> {
  const parsed = parseFlag(found)
  if ('value' in parsed) return { value: parsed.value && { idleTimeout: DEFAULT_IDLE_TIMEOUT_MS } }
  const { problem, nearest } = parsed.mistake
  return { mistake: mistake(problem, 'true, false, or a map with idleTimeout', nearest) }
}

/**
 * 403, because the client is understood and is not to have it; 426 would ask for an upgrade instead, and served without one
 * the request would reach an upstream that expects none of its kind. A handshake that comes before the response in front of
 * it is out is no upgrade to anybody (`entrypoint/server.ts`): it is a plain GET at the most, here and, without `Upgrade`,
 * for the upstream.
 *
 * @throws GatewayError `forbidden`
 */
function refuseWebSockets({ upgrade }: Exchange): void {
  if (upgrade !== undefined) throw new GatewayError('forbidden', { cause: new Error('no WebSockets on this route') })
}
