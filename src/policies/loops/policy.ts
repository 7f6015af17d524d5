import { GatewayError } from '../../errors/gateway-error'
import type { Exchange } from '../../exchange/exchange'
import { defineStep } from '../define-policy'

/** How often a request may come by: gateways behind one another have the same name in `Via`, and are no loop. */
const MOST_PASSES = 5

/** One hop of ours: protocol, pseudonym, perhaps a comment (RFC 9110 §7.6.3). */
const OWN_HOP = /(?:^|,)[ \t]*[^\s,]+[ \t]+myesi-gateway(?=[\s,]|$)/g

/**
 * Refuses requests that have passed the gateway too often. Without it an upstream that leads back here would have each
 * request sent round until its header section is too large, on a hundred connections.
 */
export const loops = defineStep({
  name: 'loops',
  create: (_config, { hasUpstream }) => (hasUpstream ? { onRequest: refuseLoops } : {}),
})

/** @throws GatewayError `loop_detected` */
function refuseLoops({ request }: Exchange): void {
  const { via } = request.headers
  if (via === undefined) return
  const passes = via.match(OWN_HOP)?.length ?? 0
  if (passes > MOST_PASSES)
    throw new GatewayError('loop_detected', { cause: new Error(`Via names us ${passes} times`) })
}
