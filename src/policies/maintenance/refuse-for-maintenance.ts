import type { MaintenanceConfig } from '../../config/types'
import { GatewayError } from '../../errors/gateway-error'
import type { Stage } from '../../exchange/exchange'

/** Turns every request down for as long as the file says so. */
export function refuseForMaintenance({ retryAfterMs }: MaintenanceConfig): Stage {
  const headers = retryAfterMs === undefined ? [] : ['Retry-After', String(Math.ceil(retryAfterMs / 1000))]
  return function refuseRequestForMaintenance() {
    throw new GatewayError('maintenance', { headers })
  }
}
