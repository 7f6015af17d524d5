import { refuseLoops } from '../../exchange/loops'
import { defineStep } from '../define-policy'

/**
 * Refuses requests that have passed the gateway too often. Without it, an upstream that points back to the gateway would
 * make each request circulate until its header section is too large, on a hundred connections.
 */
export const loops = defineStep({
  name: 'loops',
  create: (_config, { hasUpstream }) => (hasUpstream ? { onRequest: refuseLoops } : {}),
})
