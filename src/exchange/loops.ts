import { GatewayError } from '../errors/gateway-error'
import type { Exchange } from './exchange'

/** Number of times a request may pass. More than one: chained gateways have the same name in `Via` and are not a loop. */
const MOST_PASSES = 5

/** A hop of this gateway in `Via`: protocol, pseudonym, optional comment (RFC 9110 §7.6.3). */
const OWN_HOP = /(?:^|,)[ \t]*[^\s,]+[ \t]+myesi-gateway(?=[\s,]|$)/g

/** Refuses a request that has passed the gateway too often. @throws GatewayError `loop_detected` */
export function refuseLoops({ request }: Exchange): void {
  const { via } = request.headers
  if (via === undefined) return
  const passes = via.match(OWN_HOP)?.length ?? 0
  if (passes > MOST_PASSES)
    throw new GatewayError('loop_detected', { cause: new Error(`Via names us ${passes} times`) })
}

/** Returns the `Via` field of a request that the gateway makes for this one. */
export function viaOf({ request }: Exchange): string {
  const { via } = request.headers
  const own = `${request.httpVersion} myesi-gateway`
  return via === undefined ? own : `${via}, ${own}`
}
