import { gatewayMeter } from '../telemetry/scope'
import { METRIC_OPS_INFO } from '../telemetry/semconv'

/** Reports the address of this replica's ops port as a metric, to be joined on `instance`. */
export function reportInfo(info: { readonly opsUrl: string }): void {
  gatewayMeter()
    .createObservableGauge(METRIC_OPS_INFO, { description: 'Address of the ops port of this replica' })
    .addCallback(result => result.observe(1, { url: info.opsUrl }))
}
