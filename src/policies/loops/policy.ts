import { GatewayError } from '../../errors/gateway-error'
import type { Exchange } from '../../exchange/exchange'
import { defineStep } from '../define-policy'

/** Number of times a request may pass. More than one: chained gateways have the same name in `Via` and are not a loop. */
const MOST_PASSES = 5

/** A hop of this gateway in `Via`: protocol, pseudonym, optional comment (RFC 9110 §7.6.3). */
const OWN_HOP = /(?:^|,)[ \t]*[^\s,]+[ \t]+myesi-gateway(?=[\s,]|$)/g

/**
 * Refuses requests that have passed the gateway too often. Without it, an upstream that points back to the gateway would
 * make each request circulate until its header section is too large, on a hundred connections.
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
