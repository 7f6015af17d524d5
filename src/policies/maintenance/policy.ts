import { GatewayError } from '../../errors/gateway-error'
import { REASONS } from '../../errors/reasons'
import type { Stage } from '../../exchange/exchange'
import { definePolicy } from '../define-policy'
import { maintenanceField, type MaintenanceConfig } from './schema'

/** Refuses every request of a route in maintenance; the route's setting takes precedence over the entrypoint's. */
export const maintenance = definePolicy({
  name: 'maintenance',
  schema: maintenanceField(
    'Answers every request to this route with 503, reason `maintenance`, before limits are counted. `false`: this route stays open while the entrypoint has maintenance.',
  ).optional(),
  resolve: (own, { entrypoint }) => (own ?? entrypoint.maintenance) || undefined,
  create: config => ({ onRequest: refuseForMaintenance(config) }),
  refuses: () => ['maintenance'],
  describe: () => [{ about: 'answer', text: `${REASONS.maintenance.status} for maintenance` }],
})

function refuseForMaintenance({ retryAfterMs }: MaintenanceConfig): Stage {
  const headers = retryAfterMs === undefined ? [] : ['Retry-After', String(Math.ceil(retryAfterMs / 1000))]
  return function refuseRequestForMaintenance() {
    throw new GatewayError('maintenance', { headers })
  }
}
