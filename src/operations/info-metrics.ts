import { metrics } from '@opentelemetry/api'
import { METRIC_OPS_INFO, SCOPE_NAME } from '../telemetry/semconv'

/** Says where this replica's ops port is; joins on `instance`. */
export function reportInfo(info: { readonly opsUrl: string }): void {
  metrics
    .getMeter(SCOPE_NAME)
    .createObservableGauge(METRIC_OPS_INFO, { description: 'Where the ops port of this replica is' })
    .addCallback(result => result.observe(1, { url: info.opsUrl }))
}
